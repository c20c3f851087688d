//! The weights of a BERT-family network as the forward pass wants them.
//!
//! Constraints: float32 row-major, input × output (transposed from the file), query, key and value side by side;
//! every shape is checked against the configuration before the tensor is read; a missing tensor is named.

use super::ModelError;
use super::spec::{Family, Spec};
use super::tensors::TensorFile;
use crate::jobs::Progress;

/// A linear map: `weight` is inputs × outputs, row-major.
#[derive(Debug, Default)]
pub(super) struct Linear {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Scale and shift of a layer norm.
#[derive(Debug)]
pub(super) struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

#[derive(Debug)]
pub(super) struct Layer {
    /// hidden × 3·hidden: query, key, value.
    pub attention: Linear,
    pub attention_out: Linear,
    pub attention_norm: Norm,
    pub up: Linear,
    pub down: Linear,
    pub out_norm: Norm,
}

#[derive(Debug)]
pub(super) struct Weights {
    /// vocabulary × hidden.
    pub words: Vec<f32>,
    /// positions × hidden; the first token type, which every token of a single text has, is added in.
    pub positions: Vec<f32>,
    pub norm: Norm,
    pub layers: Vec<Layer>,
    /// buckets × heads, empty where there is none.
    pub relative: Vec<f32>,
}

/// Names of a layer's parts below `layer.N.`.
struct Names {
    layers: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention_out: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    out_norm: &'static str,
}

const BERT: Names = Names {
    layers: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_out: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    out_norm: "output.LayerNorm",
};

const MPNET: Names = Names {
    query: "attention.attn.q",
    key: "attention.attn.k",
    value: "attention.attn.v",
    attention_out: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    ..BERT
};

const DISTILBERT: Names = Names {
    layers: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention_out: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    out_norm: "output_layer_norm",
};

impl Weights {
    pub(super) fn read(file: &mut TensorFile, spec: &Spec, progress: &dyn Progress) -> Result<Self, ModelError> {
        let words = "embeddings.word_embeddings.weight";
        let prefix = if file.info(words).is_some() { "" } else { spec.family.prefix() };
        let mut reader = Reader { file, prefix };
        let Spec { hidden, heads, .. } = *spec;
        let words = reader.tensor("embeddings.word_embeddings", "weight", &[spec.vocabulary, hidden])?;
        let mut positions = reader.tensor("embeddings.position_embeddings", "weight", &[spec.positions, hidden])?;
        if spec.types > 0 {
            let types = reader.tensor("embeddings.token_type_embeddings", "weight", &[spec.types, hidden])?;
            for row in positions.chunks_exact_mut(hidden) {
                row.iter_mut().zip(&types).for_each(|(position, kind)| *position += kind);
            }
        }
        let norm = reader.norm("embeddings.LayerNorm", hidden)?;
        let names = match spec.family {
            Family::Bert | Family::Roberta => BERT,
            Family::Mpnet => MPNET,
            Family::Distilbert => DISTILBERT,
        };
        let mut layers = Vec::with_capacity(spec.layers);
        for number in 0..spec.layers {
            progress.check()?;
            progress.tick("reading the model", number as u64, Some(spec.layers as u64));
            layers.push(reader.layer(&format!("{}.{number}", names.layers), &names, spec)?);
        }
        let relative = match spec.buckets {
            0 => Vec::new(),
            buckets => reader.tensor("encoder.relative_attention_bias", "weight", &[buckets, heads])?,
        };
        progress.tick("reading the model", spec.layers as u64, Some(spec.layers as u64));
        Ok(Self { words, positions, norm, layers, relative })
    }
}

struct Reader<'a> {
    file: &'a mut TensorFile,
    prefix: &'static str,
}

impl Reader<'_> {
    fn tensor(&mut self, part: &str, kind: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let mut name = format!("{}{part}.{kind}", self.prefix);
        // Files converted from TensorFlow call scale and shift of a norm gamma and beta.
        if self.file.info(&name).is_none() {
            let old = match kind {
                "weight" => "gamma",
                _ => "beta",
            };
            let old = format!("{}{part}.{old}", self.prefix);
            if self.file.info(&old).is_some() {
                name = old;
            }
        }
        let values = self.file.read_shaped(&name, shape)?;
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(values),
            Some(at) => Err(ModelError::Malformed {
                path: self.file.path().to_owned(),
                reason: format!("tensor {name:?} is not finite at element {at}; the file is damaged"),
            }),
        }
    }

    fn linear(&mut self, part: &str, inputs: usize, outputs: usize) -> Result<Linear, ModelError> {
        self.joined(&[part], inputs, outputs)
    }

    /// Linear maps of the same input side by side.
    fn joined(&mut self, parts: &[&str], inputs: usize, outputs: usize) -> Result<Linear, ModelError> {
        let width = outputs * parts.len();
        let mut joined = Linear { weight: vec![0.0; 0], bias: Vec::with_capacity(width) };
        for (number, part) in parts.iter().enumerate() {
            let weight = self.tensor(part, "weight", &[outputs, inputs])?;
            joined.bias.extend(self.tensor(part, "bias", &[outputs])?);
            joined.weight.resize(inputs * width, 0.0);
            for (output, source) in weight.chunks_exact(inputs).enumerate() {
                let column = joined.weight.iter_mut().skip(number * outputs + output).step_by(width);
                column.zip(source).for_each(|(target, &value)| *target = value);
            }
        }
        Ok(joined)
    }

    fn norm(&mut self, part: &str, width: usize) -> Result<Norm, ModelError> {
        Ok(Norm { weight: self.tensor(part, "weight", &[width])?, bias: self.tensor(part, "bias", &[width])? })
    }

    fn layer(&mut self, at: &str, names: &Names, spec: &Spec) -> Result<Layer, ModelError> {
        let full = |part: &str| format!("{at}.{part}");
        let Spec { hidden, inner, .. } = *spec;
        let (query, key, value) = (full(names.query), full(names.key), full(names.value));
        Ok(Layer {
            attention: self.joined(&[&query, &key, &value], hidden, hidden)?,
            attention_out: self.linear(&full(names.attention_out), hidden, hidden)?,
            attention_norm: self.norm(&full(names.attention_norm), hidden)?,
            up: self.linear(&full(names.up), hidden, inner)?,
            down: self.linear(&full(names.down), inner, hidden)?,
            out_norm: self.norm(&full(names.out_norm), hidden)?,
        })
    }
}
