//! Models known by name: `llama-3.1-70b@q4_k_m`. The data stands in `assets/models.tsv`.

use super::quantise::{QUANTISATIONS, Quantisation};
use crate::model::{Geometry, KvCache, ModelShape};
use crate::units::Bytes;
use std::sync::OnceLock;

const MODELS: &str = include_str!("../../../assets/models.tsv");
/// Quantisation of a name without one: as the makers publish their weights.
const USUAL: &str = "bf16";

/// A model of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: Vec<&'static str>,
    /// Architecture, as llama.cpp names it.
    pub architecture: &'static str,
    /// Layers.
    pub layers: u64,
    /// Width of the residual stream.
    pub hidden: u64,
    /// Attention heads.
    pub heads: u64,
    /// KV heads.
    pub kv_heads: u64,
    /// Elements of a head.
    pub head_size: u64,
    /// Width of the feed-forward part, of one expert.
    pub feed_forward: u64,
    /// Tokens of the vocabulary.
    pub vocabulary: u64,
    /// Context that it was trained for.
    pub context: u64,
    /// The output shares the table of tokens.
    pub tied: bool,
    /// Queries, keys and values have a bias.
    pub bias: bool,
    /// Experts of a layer; 0 without.
    pub experts: u64,
    /// Experts that a token uses.
    pub experts_used: u64,
    /// Parameters as the maker counts them.
    pub parameters: u64,
    /// Where the numbers come from.
    pub source: &'static str,
}

/// Why a name is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// No such model.
    #[error("no model is called {name}; the catalogue has {known}")]
    Model {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No such quantisation.
    #[error("{name}: no quantisation is called {quantisation}; there are {known}")]
    Quantisation {
        /// The model.
        name: String,
        /// What was asked for.
        quantisation: String,
        /// What there is.
        known: String,
    },
}

/// All models of the catalogue.
#[must_use]
pub fn catalogue() -> &'static [CatalogueEntry] {
    static ALL: OnceLock<Vec<CatalogueEntry>> = OnceLock::new();
    ALL.get_or_init(|| rows().filter_map(entry).collect())
}

/// The lines of the file that hold a model.
pub(super) fn rows() -> impl Iterator<Item = &'static str> {
    MODELS.lines().filter(|line| !line.starts_with('#')).skip(1)
}

fn entry(line: &'static str) -> Option<CatalogueEntry> {
    let mut cells = line.split('\t');
    let mut text = || cells.next();
    let (name, aliases, architecture) = (text()?, text()?, text()?);
    let mut number = || text()?.parse::<u64>().ok();
    Some(CatalogueEntry {
        name,
        aliases: aliases.split(' ').filter(|alias| *alias != "-").collect(),
        architecture,
        layers: number()?,
        hidden: number()?,
        heads: number()?,
        kv_heads: number()?,
        head_size: number()?,
        feed_forward: number()?,
        vocabulary: number()?,
        context: number()?,
        tied: number()? == 1,
        bias: number()? == 1,
        experts: number()?,
        experts_used: number()?,
        parameters: number()?,
        source: text()?,
    })
}

/// The shape of `NAME[@QUANTISATION]`, in any case.
///
/// # Errors
/// No such model or quantisation; the message lists what there is.
pub fn lookup(asked: &str) -> Result<(&'static CatalogueEntry, ModelShape), CatalogueError> {
    let lower = asked.to_lowercase();
    let (name, quantisation) = lower.split_once('@').unwrap_or((&lower, USUAL));
    let name = name.trim_end_matches("-instruct");
    let found = catalogue().iter().find(|entry| entry.name == name || entry.aliases.contains(&name));
    let entry = found.ok_or_else(|| CatalogueError::Model {
        name: asked.to_owned(),
        known: catalogue().iter().map(|entry| entry.name).collect::<Vec<_>>().join(", "),
    })?;
    let quantisation = Quantisation::from_name(quantisation).ok_or_else(|| CatalogueError::Quantisation {
        name: entry.name.to_owned(),
        quantisation: quantisation.to_owned(),
        known: QUANTISATIONS.iter().map(|each| each.name()).collect::<Vec<_>>().join(", "),
    })?;
    Ok((entry, entry.shape(quantisation)))
}

impl CatalogueEntry {
    /// Its shape in that quantisation.
    #[must_use]
    pub fn shape(&self, quantisation: Quantisation) -> ModelShape {
        let per_token = self.layers * 2 * self.kv_heads * self.head_size;
        ModelShape {
            architecture: Ok(self.architecture.into()),
            parameters: Ok(self.parameters),
            weights: Ok(Bytes(quantisation.weights(self))),
            data_type: Ok(quantisation.title().into()),
            kv: Ok(KvCache::full(per_token, self.kv_heads)),
            geometry: Geometry {
                layers: Some(self.layers),
                hidden: Some(self.hidden),
                heads: Some(self.heads),
                feed_forward: Some(self.feed_forward),
                vocabulary: Some(self.vocabulary),
                context: Some(self.context),
                experts: Some(self.experts).filter(|experts| *experts > 0),
                experts_used: Some(self.experts_used).filter(|experts| *experts > 0),
            },
        }
    }
}
