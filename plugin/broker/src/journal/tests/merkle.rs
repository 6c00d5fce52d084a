//! The tree against a naive one straight from the RFC's text, and against the RFC's reference vectors.

use proptest::prelude::*;

use super::*;

/// `MTH` as RFC 6962, 2.1 writes it.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len() as u64) as usize);
            node(&naive_root(left), &naive_root(right))
        }
    }
}

/// `PATH` as RFC 6962, 2.1.1 writes it.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return vec![];
    }
    let k = split(leaves.len() as u64) as usize;
    let (left, right) = leaves.split_at(k);
    let mut path;
    if index < k {
        path = naive_path(index, left);
        path.push(naive_root(right));
    } else {
        path = naive_path(index - k, right);
        path.push(naive_root(left));
    }
    path
}

/// `SUBPROOF` as RFC 6962, 2.1.2 writes it.
fn naive_subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole {
            vec![]
        } else {
            vec![naive_root(leaves)]
        };
    }
    let k = split(leaves.len() as u64) as usize;
    let (left, right) = leaves.split_at(k);
    let mut proof;
    if m <= k {
        proof = naive_subproof(m, left, whole);
        proof.push(naive_root(right));
    } else {
        proof = naive_subproof(m - k, right, false);
        proof.push(naive_root(left));
    }
    proof
}

fn some_leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|i| leaf(&i.to_be_bytes())).collect()
}

fn tree_of(leaves: &[Hash]) -> Tree {
    let mut tree = Tree::default();
    for leaf in leaves {
        tree.push(*leaf);
    }
    tree
}

fn from(leaves: &[Hash]) -> impl FnMut(u64, u64) -> Result<Vec<Hash>, ()> + '_ {
    |start, count| Ok(leaves[start as usize..(start + count) as usize].to_vec())
}

/// The test data of the RFC's reference implementation.
const INPUTS: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn the_roots_are_those_of_the_reference_vectors() {
    let mut frontier = Frontier::default();
    assert_eq!(hex::encode(frontier.root()), ROOTS[0]);
    for (input, root) in INPUTS.iter().zip(&ROOTS[1..]) {
        frontier.push(leaf(&hex::decode(input).unwrap()));
        assert_eq!(hex::encode(frontier.root()), *root);
    }
}

#[test]
fn the_proofs_are_those_of_the_reference_vectors() {
    let leaves: Vec<Hash> = INPUTS
        .iter()
        .map(|input| leaf(&hex::decode(input).unwrap()))
        .collect();
    let tree = tree_of(&leaves);
    let hexes = |proof: Vec<Hash>| proof.iter().map(hex::encode).collect::<Vec<_>>();
    assert_eq!(
        hexes(tree.inclusion(0, 8, from(&leaves)).unwrap().unwrap()),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        hexes(tree.consistency(1, 8, from(&leaves)).unwrap().unwrap()),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        hexes(tree.consistency(2, 5, from(&leaves)).unwrap().unwrap()),
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ]
    );
}

#[test]
fn every_root_and_proof_up_to_forty_leaves_is_the_naive_one() {
    let leaves = some_leaves(40);
    let tree = tree_of(&leaves);
    let mut frontier = Frontier::default();
    for size in 1..=40_usize {
        frontier.push(leaves[size - 1]);
        let root = naive_root(&leaves[..size]);
        assert_eq!(frontier.root(), root);
        for index in 0..size {
            let proof = tree
                .inclusion(index as u64, size as u64, from(&leaves))
                .unwrap()
                .unwrap();
            assert_eq!(proof, naive_path(index, &leaves[..size]));
            assert!(is_included(
                &leaves[index],
                index as u64,
                size as u64,
                &root,
                &proof
            ));
        }
        for old in 1..=size {
            let proof = tree
                .consistency(old as u64, size as u64, from(&leaves))
                .unwrap()
                .unwrap();
            assert_eq!(proof, naive_subproof(old, &leaves[..size], true));
            let old_root = naive_root(&leaves[..old]);
            assert!(is_consistent(
                old as u64,
                &old_root,
                size as u64,
                &root,
                &proof
            ));
        }
    }
}

#[test]
fn what_the_tree_does_not_hold_has_no_proof() {
    let leaves = some_leaves(5);
    let tree = tree_of(&leaves);
    assert_eq!(tree.inclusion(5, 5, from(&leaves)), Ok(None));
    assert_eq!(tree.inclusion(0, 6, from(&leaves)), Ok(None));
    assert_eq!(tree.consistency(0, 5, from(&leaves)), Ok(None));
    assert_eq!(tree.consistency(3, 6, from(&leaves)), Ok(None));
    assert_eq!(tree.consistency(4, 3, from(&leaves)), Ok(None));
}

#[test]
fn a_tree_continues_the_empty_one_by_the_empty_proof_only() {
    let empty = Frontier::default().root();
    let leaves = some_leaves(3);
    let root = naive_root(&leaves);
    assert!(is_consistent(0, &empty, 3, &root, &[]));
    assert!(!is_consistent(0, &empty, 3, &root, &[root]));
    assert!(!is_consistent(0, &root, 3, &root, &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_inclusion_proof_holds_for_its_leaf_and_no_other(
        size in 1_u64..1_500,
        pick in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let leaves = some_leaves(size);
        let tree = tree_of(&leaves);
        let root = tree.frontier().root();
        let index = pick.index(leaves.len());
        let proof = tree.inclusion(index as u64, size, from(&leaves)).unwrap().unwrap();
        prop_assert_eq!(&proof, &naive_path(index, &leaves));
        prop_assert!(is_included(&leaves[index], index as u64, size, &root, &proof));

        let elsewhere = other.index(leaves.len());
        if elsewhere != index {
            prop_assert!(!is_included(&leaves[elsewhere], index as u64, size, &root, &proof));
            prop_assert!(!is_included(&leaves[index], elsewhere as u64, size, &root, &proof));
        }
        if !proof.is_empty() {
            let mut bent = proof.clone();
            let step = flip.0.index(bent.len());
            bent[step][usize::from(flip.1 % 32)] ^= 1;
            prop_assert!(!is_included(&leaves[index], index as u64, size, &root, &bent));
            bent = proof.clone();
            bent.pop();
            prop_assert!(!is_included(&leaves[index], index as u64, size, &root, &bent));
        }
        let mut long = proof.clone();
        long.push(root);
        prop_assert!(!is_included(&leaves[index], index as u64, size, &root, &long));
    }

    #[test]
    fn a_consistency_proof_holds_for_its_two_trees_and_no_others(
        new in 2_u64..1_500,
        pick in any::<prop::sample::Index>(),
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let leaves = some_leaves(new);
        let tree = tree_of(&leaves);
        let old = pick.index(leaves.len()) + 1;
        let (old_root, new_root) = (naive_root(&leaves[..old]), tree.frontier().root());
        let proof = tree.consistency(old as u64, new, from(&leaves)).unwrap().unwrap();
        prop_assert_eq!(&proof, &naive_subproof(old, &leaves, true));
        prop_assert!(is_consistent(old as u64, &old_root, new, &new_root, &proof));

        let mut forked = leaves.clone();
        forked[old - 1][0] ^= 1;
        let forked_root = naive_root(&forked[..old]);
        prop_assert!(!is_consistent(old as u64, &forked_root, new, &new_root, &proof));
        if !proof.is_empty() {
            let mut bent = proof.clone();
            let step = flip.0.index(bent.len());
            bent[step][usize::from(flip.1 % 32)] ^= 1;
            prop_assert!(!is_consistent(old as u64, &old_root, new, &new_root, &bent));
        }
        let mut long = proof.clone();
        long.push(new_root);
        prop_assert!(!is_consistent(old as u64, &old_root, new, &new_root, &long));
    }
}
