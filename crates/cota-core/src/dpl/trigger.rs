//! Hard rules: the next action with no LLM.
//!
//! Rules live in one trie. A node stands for *all* the parts its step allows at once, so a rule whose steps list many results
//! takes one node a step, not one for each combination. A key is walked from each UserUtter as a set of nodes, found by hash.

use std::collections::{BTreeSet, HashMap};

use super::{Prediction, reach};
use crate::bot::{Bot, BotSource, DialogueStep, Executor, Policy, SELECTOR, USER_UTTER};
use crate::event::ActionRecord;
use crate::gather::gather;
use crate::tracker::{Tracker, result_text};

/// The result that stands for any which `output` does not name.
const OTHER: &str = "<text>";

type Node = usize;
type PartId = usize;

/// The compiled hard rules of a bot.
#[derive(Debug, Default)]
pub struct Rules {
    nodes: Vec<TrieNode>,
    /// Where each part leads from a node.
    edges: HashMap<(Node, PartId), Vec<Node>>,
    /// The parts that occur in some rule.
    parts: HashMap<String, PartId>,
}

#[derive(Debug, Default)]
struct TrieNode {
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

/// What an action of the history adds to a key.
#[derive(Clone, Copy, Debug)]
enum KeyPart {
    /// A part that occurs in some rule.
    Known(PartId),
    /// A part that no rule has: no key with it matches.
    Unheard,
    /// Nothing: a UserUtter with no text.
    Silent,
}

impl Rules {
    /// Compiles them, in time linear in their size. Without a trigger policy there is nothing to compile.
    #[must_use]
    pub fn compile(source: &BotSource) -> Self {
        let mut rules = Self { nodes: vec![TrieNode::default()], ..Self::default() };
        if !source.policies.contains(&Policy::Trigger) {
            return rules;
        }
        let executors: HashMap<&str, &Executor> =
            source.actions.iter().filter_map(|action| Some((action.name.as_str(), action.form()?.executor.as_ref()?))).collect();
        let known: BTreeSet<&str> = gather(source.actions.iter().map(|action| action.name.as_str()));
        let mut steps = HashMap::new();
        for (rule, dialogue) in source.rules.iter().enumerate() {
            let mut node = 0;
            for (step, action) in dialogue.steps.iter().enumerate().filter(|(_, action)| action.name != SELECTOR) {
                if action.name != USER_UTTER && known.contains(action.name.as_str()) {
                    rules.fire(node, Fire { rule, step }, dialogue.during_form);
                }
                let parts = parts_of_step(action, executors.get(action.name.as_str()).copied());
                node = rules.follow(node, parts, &mut steps);
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

    /// The node that a step leads to, made where no rule before had the same step there.
    fn follow(&mut self, node: Node, parts: Vec<Option<String>>, steps: &mut HashMap<(Node, BTreeSet<Option<PartId>>), Node>) -> Node {
        let parts: BTreeSet<Option<PartId>> = gather(parts.into_iter().map(|part| part.map(|part| self.intern(part))));
        let fresh = self.nodes.len();
        let target = *steps.entry((node, parts.clone())).or_insert(fresh);
        if target == fresh {
            self.nodes.push(TrieNode::default());
            for part in parts {
                match part {
                    Some(part) => self.edges.entry((node, part)).or_default().push(target),
                    None => self.nodes.get_mut(node).into_iter().for_each(|node| node.skips.push(target)),
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
        if self.parts.is_empty() {
            return None;
        }
        let in_form = tracker.active_form().is_some();
        let history = reach(tracker);
        let key: Vec<KeyPart> = history.iter().map(|action| self.key_part(bot, action)).collect();
        let mut starts = history.iter().enumerate().filter(|(_, action)| action.name == USER_UTTER).map(|(start, _)| start);
        let fire = starts.find_map(|start| self.walk(key.get(start..)?, in_form))?;
        let rule = bot.source().rules.get(fire.rule)?;
        let title = if rule.title.is_empty() { format!("rule {}", fire.rule + 1) } else { rule.title.clone() };
        Some(Prediction { action: rule.steps.get(fire.step)?.name.clone(), rule: title })
    }

    fn key_part(&self, bot: &Bot, action: &ActionRecord) -> KeyPart {
        match part_of_action(bot, action) {
            None => KeyPart::Silent,
            Some(part) => self.parts.get(&part).map_or(KeyPart::Unheard, |id| KeyPart::Known(*id)),
        }
    }

    /// What a key predicts: of all rules with that key, the last in file order.
    fn walk(&self, key: &[KeyPart], in_form: bool) -> Option<Fire> {
        let mut reached = self.reach_from([0]);
        for part in key {
            let part = match part {
                KeyPart::Known(part) => part,
                KeyPart::Unheard => return None,
                KeyPart::Silent => continue,
            };
            let targets = reached.iter().filter_map(|node| self.edges.get(&(*node, *part))).flatten();
            reached = self.reach_from(targets.copied());
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

/// What a step allows to stand at its place; `None` is nothing at all.
fn parts_of_step(step: &DialogueStep, executor: Option<&Executor>) -> Vec<Option<String>> {
    let texts = step.result.texts().iter().map(String::as_str);
    match executor {
        _ if step.name == USER_UTTER && texts.len() == 0 => vec![None],
        _ if step.name == USER_UTTER => texts.map(user_part).collect(),
        None => vec![Some(step.name.clone())],
        Some(executor) if texts.len() == 0 => {
            let any = executor.output.iter().map(String::as_str).chain([OTHER]);
            any.map(|text| Some(result_part(&step.name, executor, text))).collect()
        }
        Some(executor) => texts.map(|text| Some(result_part(&step.name, executor, text))).collect(),
    }
}

/// What an action of the history adds to a key; `None` is nothing.
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
