//! The linear maps of a layer, by name.

use super::DecoderSpec;

/// A linear map that an adapter can be put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Module {
    #[serde(rename = "q_proj")]
    Query,
    #[serde(rename = "k_proj")]
    Key,
    #[serde(rename = "v_proj")]
    Value,
    #[serde(rename = "o_proj")]
    Out,
    #[serde(rename = "gate_proj")]
    Gate,
    #[serde(rename = "up_proj")]
    Up,
    #[serde(rename = "down_proj")]
    Down,
}

impl Module {
    pub const ALL: [Self; 7] = [Self::Query, Self::Key, Self::Value, Self::Out, Self::Gate, Self::Up, Self::Down];

    /// As model files and adapters call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Out => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// Below `layers.N.`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Out => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// Inputs and outputs.
    pub fn sizes(self, spec: &DecoderSpec) -> (usize, usize) {
        match self {
            Self::Query => (spec.hidden, spec.query_width()),
            Self::Key | Self::Value => (spec.hidden, spec.key_width()),
            Self::Out => (spec.query_width(), spec.hidden),
            Self::Gate | Self::Up => (spec.hidden, spec.inner),
            Self::Down => (spec.inner, spec.hidden),
        }
    }
}

impl std::str::FromStr for Module {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|module| module.name() == text.trim());
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|module| module.name()).collect();
            format!("{text:?} is no linear map of a decoder; give some of {}", names.join(", "))
        })
    }
}

impl std::fmt::Display for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
