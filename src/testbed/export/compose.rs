//! Docker Compose, for v1.29 and v2 alike.
//!
//! File format 2.4: v1.29 then takes every key used here, and v2 ignores the
//! number. Nothing secret is in the file: the control token is made at run time
//! in a volume.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;

use crate::testbed::contract::{
    CONTROL_PORT, DAEMON_PATH, IMAGE_DEFAULT, MOUNT_DIR, OTLP_PORT, PEER_PORT, PROXY_API_PORT,
    SHARE_DIR, STATE_DIR, TESTBED_PATH, TOKEN_DIR, TOKEN_FILE, env, label,
};
use crate::testbed::plan::{CellPlan, PeerPlan, Plan, StepPlan};

/// Service and host name of the proxy.
const PROXY: &str = "proxy";
/// Service and host name of the testbed.
const TESTBED: &str = "testbed";
/// The network of control and telemetry, which no fault touches.
const MANAGEMENT: &str = "management";
/// The volume that holds the control token.
const TOKEN_VOLUME: &str = "token";
/// Where the testbed finds its topology.
const TOPOLOGY_PATH: &str = "/topology.yaml";

/// Room beside the files of a share: directory entries and temporary names.
const SHARE_SPARE_BYTES: u64 = 16 << 20;
/// Room in the state beside cache and downloads: identity, bitmaps, telemetry.
const STATE_SPARE_BYTES: u64 = 64 << 20;

/// Renders `plan` as a Compose file, to be written one directory below the
/// repository's root. `topology_file` is the topology's path as that file has to
/// refer to it: see [`seen_from_compose`].
pub fn compose(plan: &Plan, topology_file: &str) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_file(plan, topology_file, &mut out);
    out
}

/// A path as a Compose file one directory below the current one has to write it.
/// Compose takes a name without a slash for a volume; this one always has one.
pub fn seen_from_compose(file: &Path) -> String {
    if file.is_absolute() {
        return file.display().to_string();
    }
    let plain = file.strip_prefix(".").unwrap_or(file);
    Path::new("..").join(plain).display().to_string()
}

fn write_file(plan: &Plan, topology_file: &str, out: &mut String) -> fmt::Result {
    writeln!(out, "# Made by `dropbed export compose` from {}.", one_line(topology_file))?;
    writeln!(out, "# Change the topology and render it again rather than this file.")?;
    writeln!(out, "version: \"2.4\"\n\nservices:")?;
    for peer in &plan.peers {
        write_peer(plan, peer, out)?;
    }
    write_proxy(plan, out)?;
    write_testbed(plan, topology_file, out)?;
    writeln!(out, "networks:")?;
    for network in peer_networks(plan).chain([MANAGEMENT.to_owned()]) {
        writeln!(out, "  {network}:")?;
        write_labels(out)?;
    }
    writeln!(out, "\nvolumes:\n  {TOKEN_VOLUME}:")?;
    write_labels(out)
}

fn write_peer(plan: &Plan, peer: &PeerPlan, out: &mut String) -> fmt::Result {
    writeln!(out, "  {}:", peer.name)?;
    write_image(out)?;
    writeln!(out, "    command: [{}, \"run\"]", quoted(DAEMON_PATH))?;
    writeln!(out, "    environment:")?;
    for (name, value) in environment(peer) {
        writeln!(out, "      {name}: {}", quoted(&escaped(&value)))?;
    }
    if peer.privileged {
        writeln!(out, "    privileged: true")?;
    } else if peer.mount {
        writeln!(out, "    cap_add: [SYS_ADMIN]")?;
        writeln!(out, "    devices: [\"/dev/fuse:/dev/fuse\"]")?;
        writeln!(out, "    security_opt: [\"apparmor:unconfined\"]")?;
    }
    let (share_bytes, state_bytes) = room(plan, peer);
    writeln!(out, "    tmpfs:")?;
    writeln!(out, "      - \"{SHARE_DIR}:size={share_bytes},mode=0755\"")?;
    writeln!(out, "      - \"{STATE_DIR}:size={state_bytes},mode=0700\"")?;
    if peer.mount {
        // The image has no directories; this one only has to be there.
        writeln!(out, "      - \"{MOUNT_DIR}:size=4096,mode=0755\"")?;
    }
    writeln!(out, "    volumes:\n      - \"{TOKEN_VOLUME}:{TOKEN_DIR}:ro\"")?;
    write_networks([network_of(&peer.name), MANAGEMENT.to_owned()], &peer.name, out)
}

fn write_proxy(plan: &Plan, out: &mut String) -> fmt::Result {
    writeln!(out, "  {PROXY}:")?;
    write_image(out)?;
    writeln!(
        out,
        "    command: [{}, \"toxiproxy\", \"-host=0.0.0.0\", \"-port={PROXY_API_PORT}\"]",
        quoted(TESTBED_PATH)
    )?;
    write_networks(peer_networks(plan).chain([MANAGEMENT.to_owned()]), PROXY, out)
}

fn write_testbed(plan: &Plan, topology_file: &str, out: &mut String) -> fmt::Result {
    writeln!(out, "  {TESTBED}:")?;
    write_image(out)?;
    writeln!(
        out,
        "    command: [{}, \"run\", \"{TOPOLOGY_PATH}\", \"--runtime\", \"attach\"]",
        quoted(TESTBED_PATH)
    )?;
    let peers: Vec<&str> = plan.peers.iter().map(|peer| peer.name.as_str()).collect();
    writeln!(out, "    depends_on: [{}, {PROXY}]", peers.join(", "))?;
    writeln!(out, "    volumes:")?;
    writeln!(out, "      - {}", quoted(&escaped(&format!("{topology_file}:{TOPOLOGY_PATH}:ro"))))?;
    writeln!(out, "      - \"{TOKEN_VOLUME}:{TOKEN_DIR}\"")?;
    write_networks([MANAGEMENT.to_owned()], TESTBED, out)
}

/// One image for all; built once, from one context.
fn write_image(out: &mut String) -> fmt::Result {
    writeln!(out, "    image: \"${{{}:-{IMAGE_DEFAULT}}}\"", env::IMAGE)?;
    writeln!(out, "    build:\n      context: ..\n      dockerfile: docker/Dockerfile")?;
    writeln!(out, "    labels:\n      {}: {}", label::TOOL, label::TOOL_VALUE)
}

fn write_networks(
    networks: impl IntoIterator<Item = String>,
    alias: &str,
    out: &mut String,
) -> fmt::Result {
    writeln!(out, "    networks:")?;
    for network in networks {
        writeln!(out, "      {network}:\n        aliases: [{alias}]")?;
    }
    writeln!(out)
}

fn write_labels(out: &mut String) -> fmt::Result {
    writeln!(out, "    labels:\n      {}: {}", label::TOOL, label::TOOL_VALUE)
}

/// The contract's environment, and the topology's own.
fn environment(peer: &PeerPlan) -> BTreeMap<&str, String> {
    let mut all: BTreeMap<&str, String> =
        peer.environment.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    all.insert(env::NAME, peer.name.clone());
    all.insert(env::LISTEN, format!("0.0.0.0:{PEER_PORT}"));
    all.insert(env::CONTROL, format!("0.0.0.0:{CONTROL_PORT}"));
    all.insert(env::CONTROL_TOKEN_FILE, TOKEN_FILE.to_owned());
    all.insert(env::STATE, STATE_DIR.to_owned());
    all.insert(env::SHARE, SHARE_DIR.to_owned());
    all.insert(env::OTLP_ENDPOINT, format!("http://{TESTBED}:{OTLP_PORT}"));
    if peer.mount {
        all.insert(env::MOUNT, MOUNT_DIR.to_owned());
    }
    if let Some(bytes) = peer.rekey_bytes {
        all.insert(env::REKEY_BYTES, bytes.to_string());
    }
    all
}

/// Bytes for share and state: the own files; and, of each file that the peer
/// reads, one copy in the cache and one among the downloads.
fn room(plan: &Plan, peer: &PeerPlan) -> (u64, u64) {
    let own = plan.samples.iter().filter(|sample| sample.peer == peer.name);
    let own_bytes = own.map(|sample| sample.size_bytes).fold(0, u64::saturating_add);
    let mut read: Vec<usize> = plan
        .cells
        .iter()
        .flat_map(CellPlan::parts)
        .filter_map(|step| match step {
            StepPlan::Transfer(transfer) if transfer.to == peer.name => Some(transfer.sample),
            _ => None,
        })
        .collect();
    read.sort_unstable();
    read.dedup();
    let read_bytes =
        read.into_iter().map(|sample| plan.samples[sample].size_bytes).fold(0, u64::saturating_add);
    (
        own_bytes.saturating_add(SHARE_SPARE_BYTES),
        read_bytes.saturating_mul(2).saturating_add(STATE_SPARE_BYTES),
    )
}

fn peer_networks(plan: &Plan) -> impl Iterator<Item = String> {
    plan.peers.iter().map(|peer| network_of(&peer.name))
}

fn network_of(peer: &str) -> String {
    format!("net-{peer}")
}

/// Compose puts variables in: a dollar sign of ours is written twice.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

/// JSON's quoting is YAML's double quoting.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// For a comment.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
