//! Hidden states of a frozen causal language model as an [`Encoder`].
//!
//! The vector of a text is the state of its last token (as in the paper that Dipole implements), or the mean over all
//! tokens, behind the last layer and the final norm or behind any layer. Constraint: each text goes through the model
//! alone, so its vector does not depend on its neighbours, and results are bit-equal for any thread count; workers
//! of one thread each share the frozen weights.

use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::json;

use super::sentence::side_by_side;
use super::{EmbeddingError, Encoder, Encoding, Fingerprint, LanguageChoice, Pool, Views};
use crate::jobs::Progress;
use crate::model::{ChatTokenizer, Decoder, Depth, ModelError, Precision, decoder_hash};

/// Tokens that are read of a text.
const MAX_TOKENS: usize = 1024;

/// See the module's header.
#[derive(Debug)]
pub(super) struct LanguageEncoder {
    decoder: Decoder,
    tokenizer: ChatTokenizer,
    choice: LanguageChoice,
    hash: blake3::Hash,
    max_tokens: usize,
}

impl LanguageEncoder {
    /// # Errors
    /// As [`Decoder::open`] and [`ChatTokenizer::open`], or the layer is beyond the last.
    pub(super) fn open(choice: &LanguageChoice, progress: &dyn Progress) -> Result<Self, EmbeddingError> {
        let decoder = Decoder::open(&choice.folder, Precision::Stored, &Device::Cpu, progress)?;
        let layers = decoder.spec().layers;
        if let Some(layer) = choice.layer.filter(|layer| *layer > layers) {
            return Err(EmbeddingError::File {
                path: choice.folder.clone(),
                reason: format!("layer {layer} was asked for, the model has {layers}"),
            });
        }
        let tokenizer = ChatTokenizer::open(&choice.folder, decoder.spec())?;
        let max_tokens = MAX_TOKENS.min(decoder.spec().positions);
        let hash = decoder_hash(&choice.folder, progress)?;
        Ok(Self { decoder, tokenizer, choice: choice.clone(), hash, max_tokens })
    }

    fn encode_one(&self, text: &str, progress: &dyn Progress) -> Result<Encoding, EmbeddingError> {
        let fault = |reason: String| EmbeddingError::File { path: self.tokenizer.path().to_owned(), reason };
        let (tokens, truncated) =
            self.tokenizer.text(text, self.max_tokens).map_err(|error| fault(error.to_string()))?;
        if tokens.is_empty() {
            return Ok(Encoding { vector: vec![0.0; self.dim()], truncated });
        }
        let depth = self.choice.layer.map_or(Depth::Last, Depth::After);
        let hidden = self.decoder.hidden(&[&tokens], depth, None, progress)?;
        let pooled = |hidden: &Tensor| match self.choice.pool {
            Pool::Last => hidden.narrow(0, tokens.len().saturating_sub(1), 1)?.flatten_all()?.to_vec1(),
            Pool::Mean => hidden.mean(0)?.to_vec1(),
        };
        let vector: Vec<f32> = pooled(&hidden).map_err(|error: candle_core::Error| fault(error.to_string()))?;
        if vector.iter().any(|number| !number.is_finite()) {
            let path = self.choice.folder.clone();
            return Err(EmbeddingError::File {
                path,
                reason: "the model gives numbers that are not finite".to_owned(),
            });
        }
        Ok(Encoding { vector, truncated })
    }
}

impl Encoder for LanguageEncoder {
    fn fingerprint(&self) -> Fingerprint {
        let mut hash = blake3::Hasher::new();
        hash.update(b"dipole language 1").update(self.hash.as_bytes());
        hash.update(&(self.max_tokens as u64).to_le_bytes());
        hash.update(format!("{:?} {:?}", self.choice.pool, self.choice.layer).as_bytes());
        if self.decoder.rounds() {
            // Other CPUs give other vectors, by about a thousandth.
            hash.update(b"bfloat16 products");
        }
        let full = self.choice.folder.canonicalize().ok();
        let name = full.and_then(|full| full.file_name().map(|name| name.to_string_lossy().into_owned()));
        let details = json!({
            "model": name.unwrap_or_default(),
            "architecture": self.decoder.spec().model_type,
            "layers": self.decoder.spec().layers,
            "layer": self.choice.layer.map_or_else(|| json!("last, behind the final norm"), |layer| json!(layer)),
            "pooling": self.choice.pool,
            "max_tokens": self.max_tokens,
            "dim": self.dim(),
        });
        Fingerprint {
            encoder: "language".to_owned(),
            hash: hash.finalize().to_hex().to_string(),
            details: details.as_object().cloned().unwrap_or_default(),
        }
    }

    fn dim(&self) -> usize {
        self.decoder.spec().hidden
    }

    fn best_views(&self) -> Views {
        Views::Row
    }

    fn encode(
        &self,
        texts: &[&str],
        threads: usize,
        progress: &dyn Progress,
        finished: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Encoding>, EmbeddingError> {
        // The longest first, so that no worker is left alone with a long text at the end.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        let length = |text: &usize| texts.get(*text).map_or(0, |text| text.len());
        order.sort_by_key(|text| (std::cmp::Reverse(length(text)), *text));
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).build().ok();
        let encoded = side_by_side(threads, &order, pool, |pool, text| {
            progress.check()?;
            let text = texts.get(*text).copied().unwrap_or_default();
            let encoding = match pool {
                Some(pool) => pool.install(|| self.encode_one(text, progress)),
                None => self.encode_one(text, progress),
            }?;
            finished(1);
            Ok(encoding)
        })?;
        let mut encodings = vec![Encoding { vector: Vec::new(), truncated: false }; texts.len()];
        for (text, encoding) in order.into_iter().zip(encoded) {
            if let Some(slot) = encodings.get_mut(text) {
                *slot = encoding;
            }
        }
        Ok(encodings)
    }
}

/// True where the folder's configuration names a language model that is known.
pub(super) fn is_language_model(folder: &Path) -> Result<bool, ModelError> {
    crate::model::is_decoder(folder)
}
