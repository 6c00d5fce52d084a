//! Generates the wire types from `proto/`, and those of the examples, with a protobuf compiler written in Rust.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (folder, file) in [("proto", "plugin.proto"), ("examples", "greeter.proto")] {
        let mut compiler = protox::Compiler::new([folder])?;
        compiler.include_source_info(true).open_file(file)?;
        tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
        println!("cargo:rerun-if-changed={folder}/{file}");
    }
    Ok(())
}
