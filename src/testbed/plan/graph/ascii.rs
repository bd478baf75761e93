//! Graphs for a terminal: what has a shape is drawn, the rest is a table.

use std::fmt::Write as _;

use super::super::render::way_text;
use super::Edge;
use crate::testbed::plan::OneWay;

/// Wider tables do not fit a terminal; there is a letter for each shape, too.
const TABLE_PEERS_MAX: usize = 24;

/// Rows of a list; more tell nobody anything.
const ROWS_MAX: usize = 40;

/// Neighbours in one row of a list.
const NEIGHBOURS_MAX: usize = 6;

/// Peers by number, each with its edges.
struct Graph<'a> {
    names: &'a [&'a str],
    edges: &'a [Edge],
    /// Of each peer: the neighbour and the edge.
    beside: Vec<Vec<(usize, usize)>>,
}

/// The drawing that suits the graph.
pub(super) fn draw(names: &[&str], edges: &[Edge]) -> String {
    let mut beside = vec![Vec::new(); names.len()];
    for (index, edge) in edges.iter().enumerate() {
        beside[edge.a].push((edge.b, index));
        beside[edge.b].push((edge.a, index));
    }
    let graph = Graph { names, edges, beside };
    let degree_max = graph.beside.iter().map(Vec::len).max().unwrap_or(0);
    let is_connected = graph.is_connected();
    if is_connected && edges.len() + 1 == names.len() {
        // A line is drawn from its end, a star from its hub, a tree from its root.
        let is_line = degree_max <= 2;
        let hub = graph.beside.iter().position(|beside| beside.len() + 1 == names.len());
        let end = graph.beside.iter().position(|beside| beside.len() == 1);
        return match (is_line, hub, end) {
            (true, _, Some(end)) => graph.chain(end),
            (_, Some(hub), _) => graph.tree(hub),
            _ => graph.tree(0),
        };
    }
    if is_connected && edges.len() == names.len() && degree_max == 2 {
        return graph.chain(0);
    }
    if names.len() <= TABLE_PEERS_MAX { graph.table() } else { graph.list() }
}

impl Graph<'_> {
    fn is_connected(&self) -> bool {
        let mut seen = vec![false; self.names.len()];
        let mut open = vec![0];
        while let Some(peer) = open.pop() {
            if !std::mem::replace(&mut seen[peer], true) {
                open.extend(self.beside[peer].iter().map(|(other, _)| *other));
            }
        }
        seen.into_iter().all(|seen| seen)
    }

    /// An edge's label, with who dials where not both do.
    fn label(&self, edge: usize) -> String {
        let edge = &self.edges[edge];
        let label = edge.label(self.names);
        if edge.both_dial { label } else { format!("{label} (only {} dials)", self.names[edge.a]) }
    }

    /// A line from one end to the other, or a ring from one peer around to it.
    fn chain(&self, start: usize) -> String {
        let mut peers = vec![start];
        let mut used: Vec<usize> = Vec::new();
        let mut at = start;
        // On, not back; file order decides at a ring's start.
        while let Some(&(next, edge)) =
            self.beside[at].iter().find(|(_, edge)| used.last() != Some(edge))
        {
            used.push(edge);
            if next == start {
                break;
            }
            peers.push(next);
            at = next;
        }
        let is_ring = used.len() == peers.len();
        let [margin, first] = if is_ring { ["|   ", ".-> "] } else { ["", ""] };
        let mut out = String::new();
        for (index, peer) in peers.iter().enumerate() {
            let margin_here = if index == 0 { first } else { margin };
            let _ = writeln!(out, "{margin_here}{}", self.names[*peer]);
            if let Some(edge) = used.get(index) {
                let _ = writeln!(out, "{margin}  |  {}", self.label(*edge));
            }
        }
        if is_ring {
            out.push_str("'-----'\n");
        }
        out
    }

    /// A tree from its root, each child a line beneath its parent.
    fn tree(&self, root: usize) -> String {
        let mut out = format!("{}\n", self.names[root]);
        // A stack rather than calls: a tree may be as deep as there are peers.
        let mut open = self.children(root, None, "");
        while let Some((peer, edge, margin, is_last)) = open.pop() {
            let branch = if is_last { "`-- " } else { "|-- " };
            let _ = writeln!(out, "{margin}{branch}{}  {}", self.names[peer], self.label(edge));
            let below = format!("{margin}{}", if is_last { "    " } else { "|   " });
            open.extend(self.children(peer, Some(edge), &below));
        }
        out
    }

    /// Below `peer`, but for where the walk came from; the first child comes last,
    /// for it is taken first.
    fn children(
        &self,
        peer: usize,
        from: Option<usize>,
        margin: &str,
    ) -> Vec<(usize, usize, String, bool)> {
        let children = self.beside[peer].iter().filter(|(_, edge)| Some(*edge) != from).rev();
        let child = |(index, &(child, edge)): (usize, &(usize, usize))| {
            (child, edge, margin.to_owned(), index == 0)
        };
        children.enumerate().map(child).collect()
    }

    /// What happens to bytes from each row's peer to each column's.
    fn table(&self) -> String {
        let mut ways: Vec<OneWay> = Vec::new();
        let mut letter = |way: OneWay| {
            letter_of(ways.iter().position(|known| *known == way).unwrap_or_else(|| {
                ways.push(way);
                ways.len() - 1
            }))
        };
        let count = self.names.len();
        let mut cells = vec![vec![String::new(); count]; count];
        for (index, row) in cells.iter_mut().enumerate() {
            row[index] = ".".to_owned();
        }
        for edge in self.edges {
            cells[edge.a][edge.b] = letter(edge.forth);
            cells[edge.b][edge.a] = letter(edge.back);
        }
        let name_width = self.names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut out = String::from("bytes from each row to each column\n\n");
        let header: String = (1..=count).map(|column| format!("{column:>4}")).collect();
        let _ = writeln!(out, "{:>2} {:<name_width$}{header}", "", "");
        for (index, (name, row)) in self.names.iter().zip(&cells).enumerate() {
            let row: String = row.iter().map(|cell| format!("{cell:>4}")).collect();
            let line = format!("{:>2} {name:<name_width$}{row}", index + 1);
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out.push('\n');
        for (index, way) in ways.iter().enumerate() {
            let name = letter_of(index);
            let _ = writeln!(out, "{name:>2}  {} one way", way_text(way));
        }
        for edge in self.edges.iter().filter(|edge| !edge.both_dial) {
            let _ = writeln!(out, "only {} dials {}", self.names[edge.a], self.names[edge.b]);
        }
        out
    }

    /// The neighbours of each peer, and what the links to them are.
    fn list(&self) -> String {
        let mut out = format!("{} peers, {} links\n\n", self.names.len(), self.edges.len());
        let width = self.names.iter().map(|name| name.len()).max().unwrap_or(0);
        for (name, beside) in self.names.iter().zip(&self.beside).take(ROWS_MAX) {
            let shown: Vec<String> = beside
                .iter()
                .take(NEIGHBOURS_MAX)
                .map(|(other, edge)| format!("{} ({})", self.names[*other], self.label(*edge)))
                .collect();
            let rest = beside.len() - shown.len();
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            let _ = writeln!(out, "{name:<width$}  {}{more}", shown.join(", "));
        }
        let rest = self.names.len().saturating_sub(ROWS_MAX);
        if rest > 0 {
            let _ = writeln!(out, "and {rest} more peers (`--format dot` has all)");
        }
        out
    }
}

/// A letter, or a number where letters are used up: every pair of a mesh may have a
/// shape of its own.
fn letter_of(index: usize) -> String {
    let letter = u8::try_from(index).ok().filter(|index| *index < 26);
    letter.map_or_else(|| (index + 1).to_string(), |index| char::from(b'a' + index).to_string())
}
