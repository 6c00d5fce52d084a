//! Generates the wire types from `proto/`, with a protobuf compiler written in Rust: nothing to install first.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files =
        ["decision", "request", "scope", "journal"].map(|name| format!("writ/v1/{name}.proto"));
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(&files)?;
    let descriptors = compiler.file_descriptor_set();
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    // `Credentials` gets its own `Debug`, which shows nothing.
    tonic_prost_build::configure()
        .skip_debug(["writ.v1.Credentials"])
        .compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
