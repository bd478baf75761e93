use std::path::Path;

use super::*;
use crate::testbed::plan::{load, plan};
use crate::testbed::topology::Topology;

fn shipped(name: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies").join(name);
    load(&path, &[]).unwrap_or_else(|found| panic!("{found}")).1
}

fn of_links(peers: &str, links: &str, ends: [&str; 2]) -> Plan {
    let [from, to] = ends;
    let text = format!(
        "version: 1\nname: x\npeers: {{ {peers} }}\nlinks: [{links}]\n\
         scenario: {{ steps: [{{ rekey: {{ from: {from}, to: {to} }} }}] }}\n"
    );
    let topology = Topology::parse("x.yaml", &text, &[]).unwrap_or_else(|found| panic!("{found}"));
    plan(&topology).unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn shapes_for_a_terminal() {
    for name in ["star-8", "ring-5", "line-4", "full-mesh-4", "two-peer", "mixed-links"] {
        let drawn = graph(&shipped(&format!("{name}.yaml")), Format::Ascii);
        insta::assert_snapshot!(format!("ascii_{name}"), drawn);
    }
    let links = "{ tree: { arity: 2, rtt: 4ms } }";
    let tree = of_links("n: { count: 7 }", links, ["n-0", "n-1"]);
    insta::assert_snapshot!("ascii_tree", graph(&tree, Format::Ascii));
}

/// Where nothing has a shape: who dials, who is not linked, what differs by direction.
#[test]
fn a_table_of_what_has_no_shape() {
    let links =
        "{ a: a, b: b, dial: a, both: { preset: dsl } }, { a: c, b: d, both: { rtt: 2ms } }";
    let plan = of_links("a: {}, b: {}, c: {}, d: {}", links, ["b", "a"]);
    insta::assert_snapshot!(graph(&plan, Format::Ascii));
}

#[test]
fn a_list_of_what_is_too_wide_for_a_table() {
    let mesh = of_links("n: { count: 50 }", "{ full_mesh: { rtt: 4ms } }", ["n-0", "n-1"]);
    let drawn = graph(&mesh, Format::Ascii);
    assert!(drawn.lines().count() < 50 && drawn.contains("and 43 more"), "{drawn}");
    assert!(drawn.contains("and 10 more peers"), "{drawn}");
}

#[test]
fn for_mermaid_and_graphviz() {
    for name in ["star-8", "ring-5", "line-4", "full-mesh-4"] {
        let plan = shipped(&format!("{name}.yaml"));
        insta::assert_snapshot!(format!("mermaid_{name}"), graph(&plan, Format::Mermaid));
        insta::assert_snapshot!(format!("dot_{name}"), graph(&plan, Format::Dot));
    }
    let one_way = of_links("a: {}, b: {}", "{ a: a, b: b, dial: a }", ["b", "a"]);
    assert!(graph(&one_way, Format::Mermaid).contains("p0 -->|\"no delay\"| p1"));
    assert!(graph(&one_way, Format::Dot).contains("\"a\" -> \"b\" [label=\"no delay\"]"));
}

/// A plan is read from a file, too, so a name may be anything there.
#[test]
fn names_cannot_break_out() {
    let mut plan = of_links("a: {}, b: {}", "{ a: a, b: b }", ["a", "b"]);
    let odd = "\"]; x -> \\y # [\"";
    plan.peers[0].name = odd.to_owned();
    for link in &mut plan.links {
        if link.dialler == "a" {
            link.dialler = odd.into();
        } else {
            link.listener = odd.into();
        }
    }
    let mermaid = graph(&plan, Format::Mermaid);
    assert!(mermaid.contains("p0[\"#quot;]; x -> \\y #35; [#quot;\"]"), "{mermaid}");
    let dot = graph(&plan, Format::Dot);
    assert!(dot.contains(r#"    "\"]; x -> \\y # [\"" -> "b""#), "{dot}");
}

/// A pair is one edge, whichever end comes first.
#[test]
fn both_links_of_a_pair_are_one_edge() {
    let plan = shipped("mixed-links.yaml");
    assert_eq!(plan.links.len(), 6);
    for format in [Format::Mermaid, Format::Dot] {
        let edges = graph(&plan, format).lines().filter(|line| line.contains("RTT")).count();
        assert_eq!(edges, 2, "the third differs by direction");
    }
}
