use super::super::build::plan;
use super::*;
use crate::testbed::topology::Topology;

fn star(rays: usize) -> Plan {
    let text = format!(
        "version: 1\nname: big\npeers: {{ hub: {{}}, ray: {{ count: {rays} }} }}\n\
         links: [{{ star: {{ hub: hub, rtt: 10ms }} }}]\n\
         scenario: {{ steps: [{{ rekey: {{ from: hub, to: ray-0 }} }}] }}\n"
    );
    let topology =
        Topology::parse("big.yaml", &text, &[]).unwrap_or_else(|found| panic!("{found}"));
    plan(&topology).unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn as_many_peers_as_are_advised_are_not_refused() {
    let plan = star(PEERS_RECOMMENDED_MAX - 1);
    assert_eq!((plan.limits.as_slice(), plan.refusal(false)), (&[][..], None));
}

#[test]
fn more_are_refused_with_the_estimate_and_tried_by_force() {
    let plan = star(499);
    assert_eq!(plan.limits, [Limit::Peers { peers: 500, recommended_max: 64 }]);
    insta::assert_snapshot!(plan.refusal(false).unwrap());
    assert_eq!(plan.refusal(true), None);
    assert_eq!(plan.refusal_of_fixed_ports(), None);
}

#[test]
fn links_beyond_the_ports_of_a_proxy_cannot_be_in_containers() {
    let at_most = 1 + LINK_PORTS / 2 - 1;
    assert_eq!(limits(at_most, LINK_PORTS).len(), 1);
    let text = "version: 1\nname: mesh\npeers: { p: { count: 110 } }\nlinks: [{ full_mesh: {} }]\n\
        scenario: { steps: [{ rekey: { from: p-0, to: p-1 } }] }\n";
    let topology = Topology::parse("mesh.yaml", text, &[]).unwrap();
    let plan = plan(&topology).unwrap();
    let ports: Vec<Option<u16>> = plan.links.iter().map(|link| link.port).collect();
    assert_eq!(ports.len(), 110 * 109);
    assert_eq!(
        (ports[0], ports[LINK_PORTS - 1], ports[LINK_PORTS]),
        (Some(21_000), Some(32_767), None)
    );
    let refused = plan.refusal_of_fixed_ports().unwrap().to_string();
    assert!(refused.contains("11990 links") && refused.contains("process"), "{refused}");
}
