//! What `uiautomator dump` prints: the nodes of the screen, as far as an expert needs them.

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Node {
    pub text: String,
    pub desc: String,
    pub class: String,
    pub checkable: bool,
    pub checked: bool,
    /// Left, top, right, bottom in pixels.
    pub bounds: [i64; 4],
    /// Number of the node that it stands in.
    pub parent: Option<usize>,
}

impl Node {
    pub(super) fn center(&self) -> (f64, f64) {
        let [left, top, right, bottom] = self.bounds.map(|edge| edge as f64);
        (f64::midpoint(left, right), f64::midpoint(top, bottom))
    }

    fn height(&self) -> i64 {
        self.bounds[3] - self.bounds[1]
    }
}

/// The screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tree(pub Vec<Node>);

/// Most nodes that are read.
const MOST: usize = 20_000;

impl Tree {
    /// Reads a dump; `None` where there is none, as while the screen moves.
    pub(super) fn read(dump: &str) -> Option<Self> {
        let (_, mut rest) = dump.split_once("<hierarchy")?;
        let (mut nodes, mut open) = (Vec::new(), Vec::new());
        while let Some(start) = rest.find('<') {
            rest = &rest[start + 1..];
            if rest.starts_with("/node") {
                open.pop();
                continue;
            }
            let Some(inner) = rest.strip_prefix("node") else {
                continue;
            };
            let (mut node, after) = attributes(inner)?;
            node.parent = open.last().copied();
            let closed = after.starts_with('/');
            rest = after;
            if !closed {
                open.push(nodes.len());
            }
            nodes.push(node);
            if nodes.len() > MOST {
                return None;
            }
        }
        Some(Self(nodes))
    }

    /// The nodes that are called exactly so, capitals and signs aside.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = usize> {
        let wanted = words(name);
        let is = move |text: &str| !text.is_empty() && words(text) == wanted;
        let nodes = self.0.iter().enumerate();
        nodes.filter_map(move |(index, node)| (is(&node.text) || is(&node.desc)).then_some(index))
    }

    /// The nearest node that `wanted` takes, beside the one called `name`: itself, or within the smallest box around both
    /// that is lower than `most` pixels.
    pub(super) fn beside(&self, name: &str, most: i64, wanted: impl Fn(&Node) -> bool) -> Option<&Node> {
        self.named(name).find_map(|index| {
            let mut around = Some(index);
            while let Some(at) = around.filter(|at| self.0[*at].height() <= most) {
                let inside = (at..self.0.len()).filter(|one| self.stands_in(*one, at));
                let found = inside.map(|one| &self.0[one]).find(|node| wanted(node));
                if found.is_some() {
                    return found;
                }
                around = self.0[at].parent;
            }
            None
        })
    }

    /// The node that `wanted` takes whose name is in the words of `name`, the longest one: "font size slider" is the slider
    /// called "Font size".
    pub(super) fn meant(&self, name: &str, wanted: impl Fn(&Node) -> bool) -> Option<&Node> {
        let all = words(name);
        let length = |text: &str| {
            let own = words(text);
            own.iter().all(|word| all.contains(word)).then_some(own.len())
        };
        let nodes = self.0.iter().filter(|node| wanted(node)).map(|node| {
            let names = [length(&node.text), length(&node.desc)];
            (names.into_iter().flatten().max().unwrap_or(0), node)
        });
        let best = nodes.filter(|(count, _)| *count > 0).max_by_key(|(count, _)| *count);
        best.map(|(_, node)| node)
    }

    /// The node that `wanted` takes whose description begins with `name` and says more behind a comma: a tile of the quick
    /// settings is called "Bluetooth,Off".
    pub(super) fn labelled(&self, name: &str, wanted: impl Fn(&Node) -> bool) -> Option<&Node> {
        let label = words(name);
        let is = |node: &&Node| {
            let begins = node
                .desc
                .split_once(',')
                .is_some_and(|(first, _)| words(first) == label);
            begins && wanted(node)
        };
        self.0.iter().find(is)
    }

    fn stands_in(&self, mut index: usize, outer: usize) -> bool {
        loop {
            match self.0[index].parent {
                _ if index == outer => return true,
                Some(parent) if parent >= outer => index = parent,
                _ => return false,
            }
        }
    }
}

/// The words of a name in small letters.
fn words(text: &str) -> Vec<String> {
    let split = text.split(|letter: char| !letter.is_alphanumeric());
    split.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The attributes of an element, and what follows them, from its `/` or `>` on.
fn attributes(mut rest: &str) -> Option<(Node, &str)> {
    let mut node = Node::default();
    loop {
        rest = rest.trim_start();
        if rest.starts_with(['/', '>']) {
            return Some((node, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        rest = after;
        match name {
            "text" => node.text = plain(value),
            "content-desc" => node.desc = plain(value),
            "class" => node.class = plain(value),
            "checkable" => node.checkable = value == "true",
            "checked" => node.checked = value == "true",
            "bounds" => node.bounds = bounds(value)?,
            _ => {}
        }
    }
}

/// `[0,63][1080,2400]`.
fn bounds(text: &str) -> Option<[i64; 4]> {
    let split = text.split(|letter: char| !(letter.is_ascii_digit() || letter == '-'));
    let numbers = split.filter(|part| !part.is_empty()).map(|part| part.parse().ok());
    numbers.collect::<Option<Vec<i64>>>()?.try_into().ok()
}

/// A value without the escapes of XML.
fn plain(value: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'")];
    let text = named
        .iter()
        .fold(value.to_owned(), |text, (from, to)| text.replace(from, to));
    text.replace("&#10;", "\n").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?><hierarchy rotation=\"0\"><node index=\"0\" \
        text=\"\" class=\"L\" bounds=\"[0,0][1080,2400]\"><node index=\"0\" text=\"\" class=\"Row\" bounds=\"[0,100][1080,250]\">\
        <node text=\"Tom &amp; &quot;Li&quot; &gt; x\" class=\"T\" bounds=\"[40,110][500,160]\" /><node NAF=\"true\" text=\"\" \
        class=\"android.widget.Switch\" checkable=\"true\" checked=\"true\" bounds=\"[900,140][1040,210]\" /></node><node \
        text=\"Other\" class=\"T\" content-desc=\"Wi-Fi, on\" bounds=\"[-20,300][400,380]\" /></node></hierarchy>UI hierchary \
        dumped to: /dev/tty";

    #[test]
    fn nodes_have_names_places_and_what_stands_beside_them() {
        let tree = Tree::read(DUMP).unwrap();
        assert_eq!(tree.0.len(), 5);
        assert_eq!(tree.0[2].text, "Tom & \"Li\" > x");
        assert_eq!(tree.named("tom li X").collect::<Vec<_>>(), [2]);
        assert_eq!(tree.named("wi fi on").collect::<Vec<_>>(), [4]);
        assert_eq!((tree.named("on").count(), tree.0[4].bounds[0]), (0, -20));
        let switch = tree.beside("Tom & Li x", 600, |node| node.checkable).unwrap();
        assert!(switch.checked && switch.center() == (970.0, 175.0));
        assert!(
            tree.beside("Other", 600, |node| node.checkable).is_none(),
            "the whole screen is no row"
        );
        assert!(tree.beside("Other", 3000, |node| node.checkable).is_some());
        let labelled = |name| tree.labelled(name, |node| node.class == "T").map(|node| node.bounds[1]);
        assert_eq!((labelled("wi-fi"), labelled("on")), (Some(300), None));
        let meant = |name| tree.meant(name, |node| node.class == "T").map(|node| node.bounds[1]);
        assert_eq!(meant("the row called other"), Some(300));
        assert_eq!((meant("Wi-Fi"), meant("tom, li & x in a row")), (None, Some(110)));
    }

    #[test]
    fn what_is_no_dump_is_none() {
        for text in [
            "",
            "ERROR: could not get idle state.",
            "<hierarchy><node text=\"a",
            "<hierarchy><node text=\"a\"",
            "<hierarchy><node bounds=\"[0,0]\" />",
            "<hierarchy><node bounds=\"[a,b][c,d]\" />",
        ] {
            assert_eq!(Tree::read(text), None, "{text}");
        }
        assert_eq!(
            Tree::read("<hierarchy rotation=\"0\"></hierarchy>"),
            Some(Tree::default())
        );
        assert!(Tree::read(&format!("<hierarchy>{}", "<node />".repeat(MOST + 1))).is_none());
    }
}
