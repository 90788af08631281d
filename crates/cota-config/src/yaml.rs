//! YAML to a tree with places.
//!
//! Built from the parser's events and not from its ready-made tree, because only the events tell how a scalar was written,
//! both places of a key that stands twice, and how much an alias costs before it is copied.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span as YamlSpan};

use crate::codes;
use crate::node::{Entry, FileId, Map, Node, Place, Range, Span, Value};
use crate::report::{Report, say};

/// Maps and lists inside each other.
const DEEPEST: usize = 64;
/// Values in a file, far beyond what the most examples need.
const MOST_NODES: usize = 5_000_000;
/// What all aliases of a file may cost, in bytes of memory as estimated by [`Size`].
const ALIAS_BUDGET: usize = 8 * 1024 * 1024;
/// Up to so many keys are compared with each other, which is cheaper than a hash of each.
const FEW_KEYS: usize = 16;
/// The key whose value's entries are taken into the map.
const MERGE: &str = "<<";
/// What a value costs beside its text.
const NODE_COST: usize = 64;

/// Reads one file; nothing if it is no YAML, which is reported.
pub(crate) fn parse(text: &str, file: FileId, report: &mut Report<'_>) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder { file, report, open: Vec::new(), anchors: HashMap::new(), alias_budget: ALIAS_BUDGET, nodes: 0, root: None };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                let place = place(*error.marker());
                let span = Span { file, range: Some(Range { start: place, end: place }) };
                builder.report.add(&codes::SYNTAX, span, || say(format!("this is not YAML: {}", error.info())));
                return None;
            }
        }
    }
    Some(builder.root.unwrap_or_else(|| Node::new(Value::Null, Span::of_file(file))))
}

struct Builder<'b, 't> {
    file: FileId,
    report: &'b mut Report<'t>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    alias_budget: usize,
    nodes: usize,
    root: Option<Node>,
}

/// What an alias stands for.
#[derive(Clone)]
struct Anchor {
    node: Node,
    size: Size,
}

/// What a copy of a value would cost.
#[derive(Clone, Copy, Default)]
struct Size {
    cost: usize,
    depth: usize,
}

/// A list or map whose end has not come yet.
struct Open {
    anchor: usize,
    start: Place,
    size: Size,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Span)> },
}

impl Builder<'_, '_> {
    /// Takes one event; nothing if the file cannot be read on.
    fn event(&mut self, event: Event<'_>, span: YamlSpan) -> Option<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Some(()),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let value =
                    if style == ScalarStyle::Plain && !is_text { Node::plain(&text) } else { Value::Text(text.clone().into_owned()) };
                let node = Node::new(value, self.span(span));
                self.finished(node, &text, Size { cost: NODE_COST + text.len(), depth: 0 }, anchor)
            }
            Event::Alias(id) => self.alias(id, self.span(span)),
            Event::SequenceStart(anchor, _) => self.start(anchor, span, Content::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.start(anchor, span, Content::Map { entries: Vec::new(), key: None }),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop()?;
                let value = match open.content {
                    Content::List(items) => Value::List(items),
                    Content::Map { entries, .. } => Value::Map(self.map(entries)),
                };
                let range = Range { start: open.start, end: place(span.start) };
                let node = Node::new(value, Span { file: self.file, range: Some(range) });
                let size = Size { cost: open.size.cost + NODE_COST, depth: open.size.depth + 1 };
                self.finished(node, "", size, open.anchor)
            }
        }
    }

    fn start(&mut self, anchor: usize, span: YamlSpan, content: Content) -> Option<()> {
        if self.open.len() >= DEEPEST {
            let span = self.span(span);
            self.report.add(&codes::TOO_LARGE, span, || say(format!("lists and maps are nested more than {DEEPEST} deep")));
            return None;
        }
        self.open.push(Open { anchor, start: place(span.start), size: Size::default(), content });
        Some(())
    }

    fn alias(&mut self, id: usize, span: Span) -> Option<()> {
        let depth_left = DEEPEST - self.open.len();
        let fits = |anchor: &&Anchor| anchor.size.cost <= self.alias_budget && anchor.size.depth <= depth_left;
        let Some(Anchor { node, size }) = self.anchors.get(&id).filter(fits).cloned() else {
            let known = self.anchors.contains_key(&id);
            self.report.add(&codes::TOO_LARGE, span, || {
                if known {
                    say("the aliases of this file expand beyond what is read")
                } else {
                    say("this alias stands inside what it names")
                }
            });
            return None;
        };
        self.alias_budget -= size.cost;
        let text = node.as_text().unwrap_or_default();
        self.finished(node, &text, size, 0)
    }

    /// Puts a finished value where it belongs. `written` is its text, for a key.
    fn finished(&mut self, node: Node, written: &str, size: Size, anchor: usize) -> Option<()> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            self.report.add(&codes::TOO_LARGE, node.span, || say(format!("a file may have {MOST_NODES} values, this one has more")));
            return None;
        }
        if anchor > 0 {
            self.anchors.insert(anchor, Anchor { node: node.clone(), size });
        }
        let Some(open) = self.open.last_mut() else {
            if self.root.is_some() {
                self.report.add(&codes::SECOND_DOCUMENT, node.span, || say("only the first document of a file is read"));
            } else {
                self.root = Some(node);
            }
            return Some(());
        };
        open.size.cost = open.size.cost.saturating_add(size.cost);
        open.size.depth = open.size.depth.max(size.depth);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key } => match key.take() {
                Some((key, key_span)) => entries.push(Entry { key, key_span, value: node }),
                None => {
                    if matches!(node.value, Value::List(_) | Value::Map(_)) {
                        self.report.add(&codes::WRONG_TYPE, node.span, || {
                            say("a key must be text").help("quote braces and brackets that are part of a text")
                        });
                        return None;
                    }
                    *key = Some((written.to_owned(), node.span));
                }
            },
        }
        Some(())
    }

    /// Makes keys distinct and takes in what `<<` refers to.
    fn map(&mut self, mut entries: Vec<Entry>) -> Map {
        let doubled = self.report_doubled(&entries);
        if !doubled.is_empty() {
            let mut index = 0;
            entries.retain(|_| {
                index += 1;
                !doubled.contains(&(index - 1))
            });
        }
        if !entries.iter().any(|entry| entry.key == MERGE) {
            return Map::of_distinct(entries);
        }
        let (merged, own): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.key == MERGE);
        let mut map = Map::of_distinct(own);
        for below in merged.iter().flat_map(|entry| merge_sources(&entry.value)) {
            map.add_missing(below);
        }
        map
    }

    /// Reports keys that stand twice. The places of all but the last of each.
    fn report_doubled(&mut self, entries: &[Entry]) -> HashSet<usize> {
        let mut doubled = HashSet::new();
        let mut earlier: HashMap<&str, usize> = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let before = if entries.len() <= FEW_KEYS {
                entries.iter().take(index).rposition(|before| before.key == entry.key)
            } else {
                earlier.insert(&entry.key, index)
            };
            let Some(before) = before else { continue };
            let line = entries.get(before).and_then(|entry| entry.key_span.range).map_or(0, |range| range.start.line);
            self.report.add(&codes::DUPLICATE_KEY, entry.key_span, || {
                say(format!("the key `{}` stands here again; it stands on line {line} already", entry.key))
                    .help("the last one counts; remove the other")
            });
            doubled.insert(before);
        }
        doubled
    }

    fn span(&self, span: YamlSpan) -> Span {
        Span { file: self.file, range: Some(Range { start: place(span.start), end: place(span.end) }) }
    }
}

/// The maps that a `<<` names: one, or a list of them.
fn merge_sources(value: &Node) -> Vec<&Map> {
    match value.as_list() {
        Some(items) => items.iter().filter_map(Node::as_map).collect(),
        None => value.as_map().into_iter().collect(),
    }
}

fn place(marker: saphyr_parser::Marker) -> Place {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Place { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    fn tree(text: &str) -> Node {
        parse(text, FileId(0), &mut Report::default()).unwrap()
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            (-1e6..1e6).prop_map(Json::from),
            "[ -~\u{e0}-\u{ff}\u{4e00}-\u{4eff}\n]{0,20}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                prop::collection::hash_map("[a-z\"<:# ]{0,8}", inner, 0..5).prop_map(|fields| fields
                    .into_iter()
                    .filter(|(key, _)| key != "<<")
                    .collect::<serde_json::Map<_, _>>()
                    .into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_is_the_same_tree_as_yaml_and_as_json(json in any_json()) {
            let read = tree(&json.to_string());
            prop_assert_eq!(&read, &Node::from_json(json.clone(), FileId(0)));
            prop_assert_eq!(read.to_json(), json);
        }
    }

    #[test]
    fn scalars_are_what_yaml_says_they_are() {
        let read = tree("a: 1\nb: '1'\nc: !!str 1\nd: yes\ne: ~\nf:\ng: true\nh: |\n  x\n  y\ni: >-\n  x\n  y\nj: 007\n1: k\n");
        assert_eq!(
            read.to_json(),
            json!({"a": 1, "b": "1", "c": "1", "d": "yes", "e": null, "f": null, "g": true, "h": "x\ny\n", "i": "x y", "j": "007", "1": "k"})
        );
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let read = tree("a:\n  - é: [b]\n");
        let list = read.as_map().unwrap().get("a").unwrap();
        let map = list.as_list().unwrap().first().unwrap().as_map().unwrap();
        let entry = map.entries().first().unwrap();
        let place = |span: Span| span.range.map(|range| (range.start.line, range.start.column));
        assert_eq!(place(entry.key_span), Some((2, 5)));
        assert_eq!(place(entry.value.span), Some((2, 8)));
    }
}
