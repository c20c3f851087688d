//! Rows of the custom set that stand in a reference too.
//!
//! A reference that shares rows with what it judges is no independent witness: shared rows are near it at no cost, so
//! they are pulled or pushed for being known, not for what they say.

use std::collections::HashMap;

use super::sketch::{BANDS, Sketches};
use super::{AnalysisSettings, candidates, groups};
use crate::data::{DataError, Dataset, Finding, FindingKind, Severity};
use crate::jobs::Progress;

/// At most this many pairs of an overlap are listed.
const SHOWN_PAIRS: usize = 20;
/// Rows of either set that are compared within one bucket.
const BUCKET: usize = 16;

/// A row of the custom set and one of the reference, by record number (0-based).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct RowPair {
    pub custom: u64,
    pub reference: u64,
    /// Jaccard similarity of their shingles; 1 for equal rows and equal prompts.
    pub similarity: f64,
}

/// Rows on both sides that match in one way.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Overlap {
    /// Custom rows with a partner in the reference.
    pub custom_rows: u64,
    /// The first pairs by custom row, one each.
    pub pairs: Vec<RowPair>,
}

/// The overlap of a custom set and one reference. Each custom row is counted once, in the strictest way that holds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Leakage {
    /// The reference's file name.
    pub reference: String,
    /// Rows of equal content.
    pub exact: Overlap,
    /// Rows whose texts are similar; `None` where only contents were compared.
    pub near: Option<Overlap>,
    /// Rows with the same words before the first answer; `None` where only contents were compared.
    pub prompt: Option<Overlap>,
}

/// The rows of equal content, from the index alone: no text is read.
pub fn exact_leakage(custom: &Dataset, reference: &Dataset) -> Leakage {
    let mut partner = vec![groups::NO_GROUP; custom.len()];
    exact_partners(custom, reference, &mut partner);
    Leakage {
        reference: reference.name(),
        exact: overlap(custom, reference, partner.iter().map(|row| (*row, 1.0))),
        near: None,
        prompt: None,
    }
}

/// Rows of equal content, similar rows and rows of the same prompt. Reads every text of both sets at least once.
///
/// # Errors
/// A text cannot be read again, a file changed, or the user cancelled.
pub fn leakage(
    custom: &Dataset,
    reference: &Dataset,
    settings: &AnalysisSettings,
    progress: &dyn Progress,
) -> Result<Leakage, DataError> {
    let mut partner = vec![groups::NO_GROUP; custom.len()];
    exact_partners(custom, reference, &mut partner);
    let own = Sketches::with_prompts(custom, settings, progress)?;
    let others = Sketches::with_prompts(reference, settings, progress)?;
    let near = near_partners(custom, reference, [&own, &others], &partner, settings, progress)?;

    let mut prompts: HashMap<u64, u32> = HashMap::new();
    for (prompt, row) in others.prompts.iter().zip(0..).filter(|(prompt, _)| **prompt != 0) {
        prompts.entry(*prompt).or_insert(row);
    }
    let free = |row: usize| {
        let is_free = |column: &[u32]| column.get(row) == Some(&groups::NO_GROUP);
        is_free(&partner) && near.get(row).is_some_and(|(other, _)| *other == groups::NO_GROUP)
    };
    let same_prompt = own.prompts.iter().enumerate().map(|(row, prompt)| {
        let other = prompts.get(prompt).filter(|_| *prompt != 0 && free(row));
        (other.copied().unwrap_or(groups::NO_GROUP), 1.0)
    });
    Ok(Leakage {
        reference: reference.name(),
        prompt: Some(overlap(custom, reference, same_prompt)),
        exact: overlap(custom, reference, partner.iter().map(|row| (*row, 1.0))),
        near: Some(overlap(custom, reference, near.iter().copied())),
    })
}

/// By custom row: the first reference row of equal content.
fn exact_partners(custom: &Dataset, reference: &Dataset, partner: &mut [u32]) {
    let mut first: HashMap<_, u32> = HashMap::new();
    for (hash, row) in reference.content_hashes().into_iter().zip(0..) {
        first.entry(hash).or_insert(row);
    }
    for (hash, place) in custom.content_hashes().into_iter().zip(partner) {
        if let Some(row) = first.get(&hash) {
            *place = *row;
        }
    }
}

/// By custom row without a partner: the most similar reference row that was found, and how similar it is.
fn near_partners(
    custom: &Dataset,
    reference: &Dataset,
    [own, others]: [&Sketches; 2],
    partner: &[u32],
    settings: &AnalysisSettings,
    progress: &dyn Progress,
) -> Result<Vec<(u32, f32)>, DataError> {
    let stage = format!("comparing {} with {}", custom.name(), reference.name());
    let mut best = vec![(groups::NO_GROUP, 0.0_f32); partner.len()];
    for band in 0..BANDS {
        progress.check()?;
        progress.tick(&stage, band as u64, Some(BANDS as u64));
        let mut theirs = others.bucket_order(band).into_iter().peekable();
        let mut pairs = Vec::new();
        let order = own.bucket_order(band);
        for bucket in order.chunk_by(|a, b| a.0 == b.0) {
            let Some((key, _)) = bucket.first().copied() else { continue };
            while theirs.next_if(|(other, _)| *other < key).is_some() {}
            let mut rows = Vec::new();
            while let Some((_, row)) = theirs.next_if(|(other, _)| *other == key) {
                if rows.len() < BUCKET {
                    rows.push(row);
                }
            }
            for (_, row) in bucket {
                let place = *row as usize;
                if partner.get(place) == Some(&groups::NO_GROUP)
                    && best.get(place).is_some_and(|(other, _)| *other == groups::NO_GROUP)
                {
                    pairs.extend(rows.iter().map(|other| (*row, *other)).filter(|(row, other)| {
                        !own.keys(*row).iter().zip(others.keys(*other)).take(band).any(|(a, b)| a == b)
                    }));
                }
            }
        }
        pairs.sort_unstable();
        for (row, other, similarity) in candidates::similar(custom, reference, &pairs, settings, progress)? {
            if let Some(best) = best.get_mut(row as usize)
                && similarity > best.1
            {
                *best = (other, similarity);
            }
        }
    }
    progress.tick(&stage, BANDS as u64, Some(BANDS as u64));
    Ok(best)
}

fn overlap(custom: &Dataset, reference: &Dataset, partners: impl Iterator<Item = (u32, f32)>) -> Overlap {
    let mut overlap = Overlap::default();
    for (row, (other, similarity)) in partners.enumerate().filter(|(_, (other, _))| *other != groups::NO_GROUP) {
        overlap.custom_rows += 1;
        if overlap.pairs.len() < SHOWN_PAIRS {
            overlap.pairs.push(RowPair {
                custom: custom.number(row).unwrap_or(row as u64),
                reference: reference.number(other as usize).unwrap_or(u64::from(other)),
                similarity: f64::from(similarity),
            });
        }
    }
    overlap
}

impl Leakage {
    /// A warning for each way in which rows match, naming rows on both sides; none where nothing matches.
    pub fn findings(&self) -> Vec<Finding> {
        let advice = "; a reference should not hold what it judges, so take them out of it";
        let ways = [
            (Some(&self.exact), "stand in the reference NAME too", advice, Severity::Warning),
            (self.near.as_ref(), "are nearly the same as rows of the reference NAME", advice, Severity::Warning),
            (self.prompt.as_ref(), "have the prompts of rows of the reference NAME", "", Severity::Info),
        ];
        let found = ways.into_iter().filter_map(|(overlap, verb, advice, severity)| {
            let overlap = overlap.filter(|overlap| overlap.custom_rows > 0)?;
            let pair = |pair: &RowPair| format!("row {} like its row {}", pair.custom, pair.reference);
            let pairs: Vec<String> = overlap.pairs.iter().take(3).map(pair).collect();
            let more = if overlap.custom_rows > pairs.len() as u64 { ", …" } else { "" };
            let verb = verb.replace("NAME", &self.reference);
            Some(Finding {
                kind: FindingKind::Leakage,
                severity,
                field: None,
                count: overlap.custom_rows,
                rows: overlap.pairs.iter().take(8).map(|pair| pair.custom).collect(),
                message: format!("rows of the custom set {verb} ({}{more}){advice}", pairs.join(", ")),
            })
        });
        found.collect()
    }
}
