//! From the vectors of a text's tokens to one.

use serde_json::Value;

use super::ModelError;
use super::folder::Folder;

/// How `1_Pooling/config.json` says that it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    Mean,
    /// The first token's vector.
    Cls,
    Max,
}

/// Modes of older files, one switch each.
const SWITCHES: [(&str, &str); 6] = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
];

impl Pooling {
    /// `bytes` of the file `name`; `prompted` says that a prompt is put before every text.
    pub(super) fn parse(
        folder: Folder<'_>,
        name: &str,
        bytes: &[u8],
        hidden: usize,
        prompted: bool,
    ) -> Result<Self, ModelError> {
        let config = folder.object(name, bytes)?;
        let dim = config.get("embedding_dimension").or_else(|| config.get("word_embedding_dimension"));
        if let Some(dim) = dim.filter(|dim| dim.as_u64() != Some(hidden as u64)) {
            let reason = format!("it pools vectors of {dim} numbers, the network has {hidden}");
            return Err(folder.malformed(name, reason));
        }
        if prompted && config.get("include_prompt").and_then(Value::as_bool) == Some(false) {
            return Err(folder.unsupported(name, "it leaves the prompt out of pooling, which is not known"));
        }
        let modes: Vec<&str> = match config.get("pooling_mode") {
            Some(Value::String(mode)) => vec![mode.as_str()],
            Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).collect(),
            _ => {
                let on = |key: &str| config.get(key).and_then(Value::as_bool) == Some(true);
                SWITCHES.iter().filter(|(key, _)| on(key)).map(|&(_, mode)| mode).collect()
            }
        };
        match modes.as_slice() {
            ["mean"] => Ok(Self::Mean),
            ["cls"] => Ok(Self::Cls),
            ["max"] => Ok(Self::Max),
            [] => Err(folder.malformed(name, "it names no pooling mode")),
            other => Err(folder.unsupported(
                name,
                format!("its pooling {:?} is not known; mean, cls or max alone is", other.join(" + ")),
            )),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Max => "max",
        }
    }

    /// One vector of unit length from tokens × hidden numbers of one text; zero where there is nothing to scale.
    pub(super) fn pool(self, states: &[f32], hidden: usize) -> Vec<f32> {
        let mut rows = states.chunks_exact(hidden.max(1));
        let mut pooled: Vec<f32> = rows.next().map_or_else(|| vec![0.0; hidden], <[f32]>::to_vec);
        for row in rows {
            let pairs = pooled.iter_mut().zip(row);
            match self {
                // The direction of the sum is that of the mean.
                Self::Mean => pairs.for_each(|(sum, &x)| *sum += x),
                Self::Max => pairs.for_each(|(most, &x)| *most = most.max(x)),
                Self::Cls => break,
            }
        }
        let norm = pooled.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        if norm > 0.0 {
            pooled.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
        pooled
    }
}
