//! The Merkle tree of RFC 6962 (and RFC 9162): its root, and proofs that it holds a leaf or continues an older tree.

use sha2::{Digest as _, Sha256};

/// A node of the tree: SHA-256.
pub type Hash = [u8; 32];

/// The most hashes a proof holds: one a level, and a seq has 64 bits at most.
pub const PROOF_MAX: usize = 64;

/// Levels of the tree below which a [`Tree`] keeps nothing: 2^8 leaves are read again when a proof needs them, so that a
/// million events cost a quarter of a megabyte of memory and not 64.
const KEPT_FROM_LEVEL: u32 = 8;

/// The hash of a leaf: a prefix of 0 keeps leaves and nodes apart.
pub fn leaf(bytes: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(bytes);
    hasher.finalize().into()
}

/// The hash of two neighbours: a prefix of 1 keeps nodes and leaves apart.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// What is needed to go on appending: the roots of the complete subtrees, largest first.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf's hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_seeing(leaf, |_, _| ());
    }

    /// Appends a leaf's hash and shows each subtree it completes, with its level, from 1 upwards.
    fn push_seeing(&mut self, leaf: Hash, mut completed: impl FnMut(u32, Hash)) {
        let mut tip = leaf;
        // The ones at the end of the size are the complete subtrees that this leaf joins.
        for level in 1..=self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                tip = node(&left, &tip);
                completed(level, tip);
            }
        }
        self.peaks.push(tip);
        self.size += 1;
    }

    /// The root: SHA-256 of nothing while there are no leaves.
    pub fn root(&self) -> Hash {
        self.peaks
            .iter()
            .copied()
            .rev()
            .reduce(|right, left| node(&left, &right))
            .unwrap_or_else(|| Sha256::digest([]).into())
    }
}

/// A tree that makes proofs: the frontier, and every complete subtree of 2^8 leaves and more.
#[derive(Debug, Default)]
pub struct Tree {
    frontier: Frontier,
    /// `kept[k]` holds the nodes of level `KEPT_FROM_LEVEL + k`, in order.
    kept: Vec<Vec<Hash>>,
}

impl Tree {
    /// Appends a leaf's hash.
    pub fn push(&mut self, leaf: Hash) {
        let kept = &mut self.kept;
        self.frontier.push_seeing(leaf, |level, hash| {
            let Some(above) = level.checked_sub(KEPT_FROM_LEVEL) else {
                return;
            };
            let above = above as usize;
            if kept.len() <= above {
                kept.resize_with(above + 1, Vec::new);
            }
            if let Some(row) = kept.get_mut(above) {
                row.push(hash);
            }
        });
    }

    /// What is needed to go on appending.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The proof that the tree of the first `size` leaves holds leaf `index`; `None` when it has no such leaf.
    ///
    /// `leaves(from, count)` reads the hashes of leaves again.
    pub fn inclusion<E>(
        &self,
        index: u64,
        size: u64,
        leaves: impl FnMut(u64, u64) -> Result<Vec<Hash>, E>,
    ) -> Result<Option<Vec<Hash>>, E> {
        if index >= size || size > self.frontier.size {
            return Ok(None);
        }
        let mut proof = Vec::new();
        let mut nodes = Nodes { tree: self, leaves };
        nodes.path(index, 0, size, &mut proof)?;
        Ok(Some(proof))
    }

    /// The proof that the tree of the first `new` leaves continues that of the first `old`; `None` unless
    /// `0 < old <= new` and the tree has that many.
    pub fn consistency<E>(
        &self,
        old: u64,
        new: u64,
        leaves: impl FnMut(u64, u64) -> Result<Vec<Hash>, E>,
    ) -> Result<Option<Vec<Hash>>, E> {
        if old == 0 || old > new || new > self.frontier.size {
            return Ok(None);
        }
        let mut proof = Vec::new();
        let mut nodes = Nodes { tree: self, leaves };
        nodes.subproof(old, 0, new, true, &mut proof)?;
        Ok(Some(proof))
    }
}

/// The nodes of a tree, kept or worked out again.
struct Nodes<'a, F> {
    tree: &'a Tree,
    leaves: F,
}

impl<E, F: FnMut(u64, u64) -> Result<Vec<Hash>, E>> Nodes<'_, F> {
    /// `MTH(D[from:to])`, where `from` is where a subtree begins.
    fn range(&mut self, from: u64, to: u64) -> Result<Hash, E> {
        let count = to - from;
        if count.is_power_of_two() {
            let level = count.trailing_zeros();
            let kept = level.checked_sub(KEPT_FROM_LEVEL).and_then(|above| {
                let index = usize::try_from(from >> level).ok()?;
                self.tree.kept.get(above as usize)?.get(index).copied()
            });
            if let Some(kept) = kept {
                return Ok(kept);
            }
            let mut small = Frontier::default();
            for leaf in (self.leaves)(from, count)? {
                small.push(leaf);
            }
            return Ok(small.root());
        }
        let middle = from + split(count);
        Ok(node(&self.range(from, middle)?, &self.range(middle, to)?))
    }

    /// `PATH(index, D[from:to])`.
    fn path(&mut self, index: u64, from: u64, to: u64, proof: &mut Vec<Hash>) -> Result<(), E> {
        if to - from <= 1 {
            return Ok(());
        }
        let middle = from + split(to - from);
        if index < middle {
            self.path(index, from, middle, proof)?;
            proof.push(self.range(middle, to)?);
        } else {
            self.path(index, middle, to, proof)?;
            proof.push(self.range(from, middle)?);
        }
        Ok(())
    }

    /// `SUBPROOF(old, D[from:to], whole)`, where `old` counts from the tree's beginning.
    fn subproof(
        &mut self,
        old: u64,
        from: u64,
        to: u64,
        whole: bool,
        proof: &mut Vec<Hash>,
    ) -> Result<(), E> {
        if old == to {
            if !whole {
                proof.push(self.range(from, to)?);
            }
            return Ok(());
        }
        let middle = from + split(to - from);
        if old <= middle {
            self.subproof(old, from, middle, whole, proof)?;
            proof.push(self.range(middle, to)?);
        } else {
            self.subproof(old, middle, to, false, proof)?;
            proof.push(self.range(from, middle)?);
        }
        Ok(())
    }
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count.saturating_sub(1)).checked_ilog2().unwrap_or(0)
}

/// Whether `proof` shows that the tree of `size` leaves with this `root` holds `leaf` at `index` (RFC 9162, 2.1.3.2).
pub fn is_included(leaf: &Hash, index: u64, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if index >= size || proof.len() > PROOF_MAX {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut tip = *leaf;
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            tip = node(step, &tip);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            tip = node(&tip, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && tip == *root
}

/// Whether `proof` shows that the tree of `new` leaves begins with the tree of `old` (RFC 9162, 2.1.4.2).
///
/// Any tree continues the empty one, by the empty proof.
pub fn is_consistent(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > new || proof.len() > PROOF_MAX + 1 {
        return false;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == Frontier::default().root();
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    // A complete old tree is itself the proof's first node, which is then left out.
    let mut steps = proof.iter();
    let first = if old.is_power_of_two() {
        Some(old_root)
    } else {
        steps.next()
    };
    let Some(first) = first else {
        return false;
    };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old_tip, mut new_tip) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_tip = node(step, &old_tip);
            new_tip = node(step, &new_tip);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_tip = node(&new_tip, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_tip == *old_root && new_tip == *new_root
}

#[cfg(test)]
#[path = "tests/merkle.rs"]
mod tests;
