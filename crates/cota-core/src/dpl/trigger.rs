//! Hard rules: the next action with no LLM.
//!
//! Rules live in one trie. An edge stands for *all* the parts a step allows at once, so a rule whose steps list many results
//! takes one node a step, not one for each combination. A key is walked from each UserUtter as a set of nodes; a node is in the
//! set at most once, so one walk costs at most the size of the trie for each part.

use std::collections::{BTreeSet, HashMap};

use super::{Prediction, reach};
use crate::bot::{Bot, BotSource, DialogueStep, Executor, Policy, SELECTOR, USER_UTTER};
use crate::event::ActionRecord;
use crate::tracker::{Tracker, result_text};

/// The result that stands for any which `output` does not name.
const OTHER: &str = "<text>";

type Node = usize;
type PartId = usize;

/// The compiled hard rules of a bot.
#[derive(Debug, Default)]
pub struct Rules {
    nodes: Vec<TrieNode>,
    /// The parts that occur in some rule.
    parts: HashMap<String, PartId>,
}

#[derive(Debug, Default)]
struct TrieNode {
    /// Where each set of parts leads.
    edges: Vec<(BTreeSet<PartId>, Node)>,
    /// Where this node leads without a part: a UserUtter with no text is left out of a key.
    skips: Vec<Node>,
    /// What a key that ends here predicts.
    fires: Option<Fire>,
    /// The same while a form is active.
    fires_in_form: Option<Fire>,
}

/// A rule and the step it predicts. The last in file order wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fire {
    rule: usize,
    step: usize,
}

/// What a step of a rule, or an action of the history, adds to a key.
enum Parts {
    One(Option<String>),
    AnyOf(Vec<Option<String>>),
}

impl Rules {
    /// Compiles them, in time linear in their size. Without a trigger policy there is nothing to compile.
    #[must_use]
    pub fn compile(source: &BotSource) -> Self {
        let mut rules = Self { nodes: vec![TrieNode::default()], parts: HashMap::new() };
        if !source.policies.contains(&Policy::Trigger) {
            return rules;
        }
        let executors: HashMap<&str, &Executor> =
            source.actions.iter().filter_map(|action| Some((action.name.as_str(), action.form()?.executor.as_ref()?))).collect();
        let known: BTreeSet<&str> = source.actions.iter().map(|action| action.name.as_str()).collect();
        let mut edges = HashMap::new();
        for (rule, dialogue) in source.rules.iter().enumerate() {
            let mut node = 0;
            for (step, action) in dialogue.steps.iter().enumerate().filter(|(_, action)| action.name != SELECTOR) {
                if action.name != USER_UTTER && known.contains(action.name.as_str()) {
                    rules.fire(node, Fire { rule, step }, dialogue.during_form);
                }
                let parts = parts_of_step(action, executors.get(action.name.as_str()).copied());
                node = rules.follow(node, parts, &mut edges);
            }
        }
        rules
    }

    fn fire(&mut self, node: Node, fire: Fire, during_form: bool) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.fires = node.fires.max(Some(fire));
            if during_form {
                node.fires_in_form = node.fires_in_form.max(Some(fire));
            }
        }
    }

    /// The node that a step leads to, made where there is none.
    fn follow(&mut self, node: Node, parts: Parts, edges: &mut HashMap<(Node, BTreeSet<PartId>, bool), Node>) -> Node {
        let parts = match parts {
            Parts::One(part) => vec![part],
            Parts::AnyOf(parts) => parts,
        };
        let may_skip = parts.contains(&None);
        let set: BTreeSet<PartId> = parts.into_iter().flatten().map(|part| self.intern(part)).collect();
        let fresh = self.nodes.len();
        let target = *edges.entry((node, set.clone(), may_skip)).or_insert(fresh);
        if target == fresh {
            self.nodes.push(TrieNode::default());
            if let Some(node) = self.nodes.get_mut(node) {
                if may_skip {
                    node.skips.push(target);
                }
                if !set.is_empty() {
                    node.edges.push((set, target));
                }
            }
        }
        target
    }

    fn intern(&mut self, part: String) -> PartId {
        let fresh = self.parts.len();
        *self.parts.entry(part).or_insert(fresh)
    }

    /// What they predict. The longest match wins: the one that begins at the oldest UserUtter.
    pub(super) fn next_action(&self, bot: &Bot, tracker: &Tracker) -> Option<Prediction> {
        let in_form = tracker.active_form().is_some();
        let history = reach(tracker);
        let key: Vec<Option<Option<PartId>>> = history.iter().map(|action| self.part_id(bot, action)).collect();
        let mut starts = history.iter().enumerate().filter(|(_, action)| action.name == USER_UTTER).map(|(start, _)| start);
        let fire = starts.find_map(|start| self.walk(key.get(start..)?, in_form))?;
        let rule = bot.source().rules.get(fire.rule)?;
        let title = if rule.title.is_empty() { format!("rule {}", fire.rule + 1) } else { rule.title.clone() };
        Some(Prediction { action: rule.steps.get(fire.step)?.name.clone(), rule: title })
    }

    /// The part an action adds: the outer `None` where no rule has such a part, the inner one where it adds none.
    fn part_id(&self, bot: &Bot, action: &ActionRecord) -> Option<Option<PartId>> {
        match part_of_action(bot, action) {
            None => Some(None),
            Some(part) => self.parts.get(&part).map(|id| Some(*id)),
        }
    }

    /// What a key predicts: of all rules with that key, the last in file order.
    fn walk(&self, key: &[Option<Option<PartId>>], in_form: bool) -> Option<Fire> {
        let mut reached = self.reach_from([0]);
        for part in key {
            let Some(part) = (*part)? else { continue };
            let edges = reached.iter().filter_map(|node| self.nodes.get(*node)).flat_map(|node| &node.edges);
            reached = self.reach_from(edges.filter(|(parts, _)| parts.contains(&part)).map(|(_, target)| *target));
        }
        let ends = reached.iter().filter_map(|node| self.nodes.get(*node));
        ends.filter_map(|node| if in_form { node.fires_in_form } else { node.fires }).max()
    }

    /// These nodes and all that they lead to without a part.
    fn reach_from(&self, nodes: impl IntoIterator<Item = Node>) -> BTreeSet<Node> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<Node> = nodes.into_iter().collect();
        while let Some(node) = open.pop() {
            if reached.insert(node) {
                open.extend(self.nodes.get(node).into_iter().flat_map(|node| &node.skips));
            }
        }
        reached
    }
}

fn parts_of_step(step: &DialogueStep, executor: Option<&Executor>) -> Parts {
    let texts = step.result.texts();
    if step.name == USER_UTTER {
        return match texts {
            [] => Parts::One(None),
            texts => Parts::AnyOf(texts.iter().map(|text| user_part(text)).collect()),
        };
    }
    match executor {
        None => Parts::One(Some(step.name.clone())),
        Some(executor) if texts.is_empty() => {
            let any = executor.output.iter().map(String::as_str).chain([OTHER]);
            Parts::AnyOf(any.map(|text| Some(result_part(&step.name, executor, text))).collect())
        }
        Some(executor) => Parts::AnyOf(texts.iter().map(|text| Some(result_part(&step.name, executor, text))).collect()),
    }
}

fn part_of_action(bot: &Bot, action: &ActionRecord) -> Option<String> {
    if action.name == USER_UTTER {
        return user_part(&result_text(action));
    }
    let executor = bot.form(&action.name).and_then(|form| form.executor.as_ref());
    Some(match executor {
        Some(executor) => result_part(&action.name, executor, &result_text(action)),
        None => action.name.clone(),
    })
}

fn user_part(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| format!("{USER_UTTER}:{text}"))
}

fn result_part(name: &str, executor: &Executor, text: &str) -> String {
    let text = text.trim();
    let named = executor.output.iter().find(|output| output.trim() == text);
    format!("{name}:{}", named.map_or(OTHER, |output| output.trim()))
}

#[cfg(test)]
impl Rules {
    /// How many nodes the trie has.
    pub(super) fn size(&self) -> usize {
        self.nodes.len()
    }
}
