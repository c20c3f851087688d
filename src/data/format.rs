//! The container a file is in, sniffed from its content.

/// How records follow each other in the (decompressed) file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// One JSON object a line.
    Jsonl,
    /// One JSON array of objects.
    Json,
    Csv,
    Tsv,
    Parquet,
}

/// What the file is wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Container and compression together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Format {
    pub container: Container,
    pub compression: Compression,
}

impl std::fmt::Display for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Jsonl => "JSON lines",
            Self::Json => "JSON list",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Parquet => "Parquet",
        })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.compression {
            Compression::None => self.container.fmt(f),
            Compression::Gzip => write!(f, "{}, gzip", self.container),
            Compression::Zstd => write!(f, "{}, zstd", self.container),
        }
    }
}
