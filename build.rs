//! Compiles the protocols with `protox`, so that nobody has to install protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["drop.proto", "control.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".dropbed.drop.v1").compile_fds(files)?;
    Ok(())
}
