//! Which rules can match a path at all, so that a policy of a thousand rules costs a request no more
//! than one of ten.

use smallvec::SmallVec;

/// Rules by the text that the paths of their requests begin with.
#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    /// In the order of their texts.
    nodes: Vec<Node>,
    /// The rules whose paths may begin with anything, in their order.
    others: Vec<usize>,
}

#[derive(Debug)]
struct Node {
    text: String,
    /// The rules of this text, in their order.
    rules: Vec<usize>,
    /// The node of the longest other text that this one begins with.
    parent: Option<usize>,
}

impl RuleIndex {
    /// Of rules in their order: the text that all paths of each begin with, if there is one.
    pub(super) fn new<'t>(rules: impl Iterator<Item = Option<&'t str>>) -> Self {
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        for (index, text) in rules.enumerate() {
            match text {
                Some(text) => texts.push((text, index)),
                None => others.push(index),
            }
        }
        texts.sort_unstable();
        let mut nodes: Vec<Node> = Vec::new();
        for (text, index) in texts {
            match nodes.last_mut() {
                Some(last) if last.text == text => last.rules.push(index),
                _ => {
                    let parent = nodes.len().checked_sub(1);
                    let parent = ancestors(&nodes, parent).find(|node| {
                        nodes.get(*node).is_some_and(|node| text.starts_with(&node.text))
                    });
                    nodes.push(Node { text: text.to_owned(), rules: vec![index], parent });
                }
            }
        }
        Self { nodes, others }
    }

    /// The rules that may match `path`, in their order.
    pub(super) fn candidates(&self, path: &str) -> impl Iterator<Item = usize> {
        // Whatever `path` begins with, the last text that is not behind it begins with, too.
        let last = self.nodes.partition_point(|node| node.text.as_str() <= path).checked_sub(1);
        let matching = ancestors(&self.nodes, last)
            .filter_map(|node| self.nodes.get(node))
            .filter(|node| path.starts_with(&node.text));
        let mut rules: SmallVec<[usize; 16]> =
            matching.flat_map(|node| node.rules.iter().copied()).collect();
        rules.sort_unstable();
        merged(rules.into_iter(), self.others.iter().copied())
    }
}

/// A node, its parent, and so on.
fn ancestors(nodes: &[Node], node: Option<usize>) -> impl Iterator<Item = usize> {
    std::iter::successors(node, |node| nodes.get(*node)?.parent)
}

fn merged(
    one: impl Iterator<Item = usize>,
    other: impl Iterator<Item = usize>,
) -> impl Iterator<Item = usize> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if second < first => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(rules: &[Option<&str>], path: &str) -> Vec<usize> {
        RuleIndex::new(rules.iter().copied()).candidates(path).collect()
    }

    #[test]
    fn rules_come_in_their_order_and_none_is_left_out() {
        let rules = [
            Some("/api/orders"),
            None,
            Some("/"),
            Some("/api/"),
            Some("/b"),
            Some("/api/"),
            Some("/api/orders/1"),
            None,
        ];
        for (path, expected) in [
            ("/api/orders", &[0, 1, 2, 3, 5, 7][..]),
            ("/api/orders/17", &[0, 1, 2, 3, 5, 6, 7]),
            ("/api/a", &[1, 2, 3, 5, 7]),
            ("/api", &[1, 2, 7]),
            ("/z", &[1, 2, 7]),
            ("/b", &[1, 2, 4, 7]),
            ("", &[1, 7]),
            ("*", &[1, 7]),
        ] {
            assert_eq!(candidates(&rules, path), expected, "{path}");
        }
        assert!(candidates(&[], "/").is_empty());
    }

    /// Against looking at each.
    #[test]
    fn it_finds_what_a_look_at_each_rule_finds() {
        let texts: Vec<String> = (0..2_000_u32)
            .map(|number| format!("/{:b}", number.wrapping_mul(2_654_435_761) >> 22))
            .collect();
        let rules: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        let index = RuleIndex::new(rules.iter().copied());
        for path in &texts {
            let path = format!("{path}01");
            let found: Vec<usize> = index.candidates(&path).collect();
            let expected: Vec<usize> =
                (0..texts.len()).filter(|rule| path.starts_with(&texts[*rule])).collect();
            assert_eq!(found, expected, "{path}");
        }
    }
}
