//! Generates Terraform's side of the wire from `proto/`, with a protobuf compiler written in Rust.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_file("tfplugin6/provider.proto")?;
    // A value may hold a secret; it gets its own `Debug`, which shows nothing.
    tonic_prost_build::configure()
        .build_client(false)
        .skip_debug(["tfplugin6.DynamicValue"])
        .compile_fds(compiler.file_descriptor_set())?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
