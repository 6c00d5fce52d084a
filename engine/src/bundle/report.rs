//! Every error of a bundle, each with file, line, column and a caret.

/// All that is wrong with a bundle or a configuration file.
#[derive(Debug, Default)]
pub struct Report {}
