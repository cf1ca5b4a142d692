//! A bucket and the numbers that its algorithm keeps about its items.
//!
//! Every change goes through [`Bucket::rebuild`], which derives all numbers (sums, nodes, straws, the bucket's weight) from
//! the items and their weights, as Ceph's builder does.

use crate::error::Error;

/// The only item hash that exists: rjenkins1.
pub const HASH_RJENKINS1: u8 = 0;

/// The largest `tree` bucket: the format counts nodes in one byte, so 64 items (128 nodes).
const TREE_ITEMS_MAX: usize = 64;

/// How a bucket draws one of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// All items weigh the same; constant time; any change of the number of items moves nearly everything.
    Uniform,
    /// Newest item first; fine for buckets that only grow.
    List,
    /// A binary tree of weights.
    Tree,
    /// Scaled draws, longest straw wins; weights interact slightly.
    Straw,
    /// Draws divided by weight; a changed weight moves only what it must.
    Straw2,
}

impl Algorithm {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Uniform, Self::List, Self::Tree, Self::Straw, Self::Straw2];

    /// The number in the binary format.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Uniform => 1,
            Self::List => 2,
            Self::Tree => 3,
            Self::Straw => 4,
            Self::Straw2 => 5,
        }
    }

    /// The algorithm of this number.
    #[must_use]
    pub fn by_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| u32::from(algorithm.number()) == number)
    }

    /// The name in text maps.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::List => "list",
            Self::Tree => "tree",
            Self::Straw => "straw",
            Self::Straw2 => "straw2",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// What an algorithm stores about the items of its bucket. All lists have one entry per item, except the tree's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketContents {
    /// One weight for all.
    Uniform {
        /// The weight of each item.
        item_weight: u32,
    },
    /// Weights and running sums.
    List {
        /// The weight of each item.
        weights: Vec<u32>,
        /// The sum of the weights up to and including each item.
        sums: Vec<u32>,
    },
    /// A complete binary tree of weights in which item i is node 2i+1.
    Tree {
        /// The weight below each node.
        nodes: Vec<u32>,
    },
    /// Weights and straw lengths.
    Straw {
        /// The weight of each item.
        weights: Vec<u32>,
        /// The factor that each item's draw is multiplied with.
        straws: Vec<u32>,
    },
    /// Weights only.
    Straw2 {
        /// The weight of each item.
        weights: Vec<u32>,
    },
}

/// An inner node of the placement tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub(crate) id: i32,
    pub(crate) type_id: u16,
    pub(crate) hash: u8,
    pub(crate) weight: u32,
    pub(crate) items: Vec<i32>,
    pub(crate) contents: BucketContents,
}

/// Where in the tree of a tree bucket item `index` is.
pub(crate) fn tree_node_of(index: usize) -> usize {
    (index << 1) + 1
}

/// Adds to the weight of the leaf of an item and of every node above it, modulo 2^32 (so a difference can be below zero).
pub(crate) fn add_to_tree(nodes: &mut [u32], index: usize, difference: u32) {
    let mut node = tree_node_of(index);
    let root = nodes.len() / 2;
    loop {
        nodes[node] = nodes[node].wrapping_add(difference);
        if node == root {
            return;
        }
        // A node's parent is half as many steps of the next power of two away, to the side that has it.
        let step = 1 << node.trailing_zeros();
        node = if node & (step << 1) != 0 { node - step } else { node + step };
    }
}

/// How many nodes the tree of so many items has.
fn tree_nodes(size: usize) -> usize {
    if size == 0 { 0 } else { 2 * size.next_power_of_two() }
}

impl Bucket {
    /// A bucket of these items with these weights.
    ///
    /// # Errors
    /// When there are more than 64 items for a tree, or the sum of the weights does not fit 32 bits.
    pub fn new(
        id: i32,
        type_id: u16,
        algorithm: Algorithm,
        items: &[(i32, u32)],
        straw_calc_version: u8,
    ) -> Result<Self, Error> {
        let contents = match algorithm {
            Algorithm::Uniform => BucketContents::Uniform { item_weight: 0 },
            Algorithm::List => BucketContents::List { weights: Vec::new(), sums: Vec::new() },
            Algorithm::Tree => BucketContents::Tree { nodes: Vec::new() },
            Algorithm::Straw => BucketContents::Straw { weights: Vec::new(), straws: Vec::new() },
            Algorithm::Straw2 => BucketContents::Straw2 { weights: Vec::new() },
        };
        let mut bucket = Self { id, type_id, hash: HASH_RJENKINS1, weight: 0, items: Vec::new(), contents };
        bucket.rebuild(items, straw_calc_version)?;
        Ok(bucket)
    }

    /// The id, always negative.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The number of its type.
    #[must_use]
    pub fn type_id(&self) -> u16 {
        self.type_id
    }

    /// The number of its item hash; 0 is rjenkins1.
    #[must_use]
    pub fn hash(&self) -> u8 {
        self.hash
    }

    /// The sum of the weights of its items.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// Its items in order.
    #[must_use]
    pub fn items(&self) -> &[i32] {
        &self.items
    }

    /// What its algorithm stores.
    #[must_use]
    pub fn contents(&self) -> &BucketContents {
        &self.contents
    }

    /// How it draws.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.contents {
            BucketContents::Uniform { .. } => Algorithm::Uniform,
            BucketContents::List { .. } => Algorithm::List,
            BucketContents::Tree { .. } => Algorithm::Tree,
            BucketContents::Straw { .. } => Algorithm::Straw,
            BucketContents::Straw2 { .. } => Algorithm::Straw2,
        }
    }

    /// The weight of the item at this index; 0 beyond the end.
    #[must_use]
    pub fn item_weight(&self, index: usize) -> u32 {
        let stored = match &self.contents {
            BucketContents::Uniform { item_weight } => (index < self.items.len()).then_some(item_weight),
            BucketContents::Tree { nodes } => nodes.get(tree_node_of(index)),
            BucketContents::List { weights, .. }
            | BucketContents::Straw { weights, .. }
            | BucketContents::Straw2 { weights } => weights.get(index),
        };
        stored.copied().unwrap_or(0)
    }

    /// Its items with their weights, in order.
    #[must_use]
    pub fn weighted_items(&self) -> Vec<(i32, u32)> {
        (0..).zip(&self.items).map(|(index, item)| (*item, self.item_weight(index))).collect()
    }

    /// Makes these its items and derives every stored number from them.
    pub(crate) fn rebuild(&mut self, items: &[(i32, u32)], straw_calc_version: u8) -> Result<(), Error> {
        let weights: Vec<u32> = items.iter().map(|(_, weight)| *weight).collect();
        let mut total = 0u32;
        let mut sums = Vec::with_capacity(weights.len());
        for weight in &weights {
            total = total
                .checked_add(*weight)
                .ok_or_else(|| Error::range(format!("the weights in bucket {} add up to 65536 or more", self.id)))?;
            sums.push(total);
        }
        let contents = match self.algorithm() {
            Algorithm::Uniform => {
                // The first item's weight is everyone's, whatever they came with.
                let item_weight = weights.first().copied().unwrap_or(0);
                let size = u32::try_from(weights.len()).expect("buckets have at most a million items");
                total = item_weight.checked_mul(size).ok_or_else(|| {
                    Error::range(format!("the weights in bucket {} add up to 65536 or more", self.id))
                })?;
                BucketContents::Uniform { item_weight }
            }
            Algorithm::List => BucketContents::List { weights, sums },
            Algorithm::Tree => BucketContents::Tree { nodes: self.build_tree(&weights)? },
            Algorithm::Straw => {
                let straws = crate::bucket::straw_lengths(&weights, straw_calc_version);
                BucketContents::Straw { weights, straws }
            }
            Algorithm::Straw2 => BucketContents::Straw2 { weights },
        };
        self.contents = contents;
        self.items = items.iter().map(|(item, _)| *item).collect();
        self.weight = total;
        Ok(())
    }

    /// The node weights of a tree over these leaves: leaf i is node 2i+1, its parent is where the two lowest set bits meet.
    fn build_tree(&self, weights: &[u32]) -> Result<Vec<u32>, Error> {
        if weights.len() > TREE_ITEMS_MAX {
            return Err(Error::invalid(format!(
                "bucket {} is a tree: it can hold {TREE_ITEMS_MAX} items, not {}",
                self.id,
                weights.len()
            )));
        }
        let mut nodes = vec![0u32; tree_nodes(weights.len())];
        for (index, weight) in weights.iter().enumerate() {
            add_to_tree(&mut nodes, index, *weight);
        }
        Ok(nodes)
    }
}
