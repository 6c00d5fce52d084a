//! The layout of a bundle's files: policies as Cedar's own formatter lays them out, HCL as `terraform fmt` does.
//!
//! Only the layout changes, and that is checked before anything is given back: a policy means the same to Cedar, HCL has the
//! same tokens line by line, every comment is there, and what is laid out is left as it is the next time. A schema is not
//! touched: Cedar's printer for schemas loses comments.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hcl::{self, Document};
use super::{BundleFiles, Report, check_size, policies};

/// The columns a policy's line may have: one condition on approvals and one on the window still fit, a third begins a list.
pub const WIDTH_MAX: usize = policies::WIDTH_MAX;

/// The files of a bundle, or of its tests, that would be laid out otherwise, as they would be; or everything that cannot be
/// parsed, each at its place.
pub fn format(files: &BundleFiles) -> Result<BundleFiles, Report> {
    let mut report = Report::default();
    check_size(files, "the bundle", &mut report);
    if report.has_errors() {
        return Err(report);
    }
    let mut changed = BTreeMap::new();
    for (file, text) in &files.0 {
        let laid_out = if file.ends_with(".cedar") {
            policies::format(file, text, &mut report)
        } else if file.ends_with(".hcl") {
            format_hcl(file, text, &mut report)
        } else {
            continue;
        };
        match laid_out {
            Some(laid_out) if laid_out != *text => {
                changed.insert(file.clone(), laid_out);
            }
            Some(_) | None => {}
        }
    }
    match report.has_errors() {
        true => Err(report),
        false => Ok(BundleFiles(changed)),
    }
}

fn format_hcl(file: &str, text: &str, report: &mut Report) -> Option<String> {
    let document = Document::parse(file, text);
    if document.has_errors() {
        report.absorb(document.into_report());
        return None;
    }
    let laid_out = hcl::format(text);
    if laid_out.is_none() {
        let text: Arc<str> = text.into();
        let message = "it cannot be laid out without a change to more than its layout";
        report.push(file, &text, 0..0, message, None);
    }
    laid_out
}

#[cfg(test)]
mod tests;
