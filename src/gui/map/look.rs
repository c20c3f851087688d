//! What the map shows and how: where rows lie, what colours them, which classes are left out.

use serde::{Deserialize, Serialize};

/// Where the points lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    /// By what the texts say: near rows are alike.
    #[default]
    Meaning,
    /// By pull and push.
    Forces,
}

/// What gives a custom row its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourBy {
    #[default]
    Score,
    Weight,
    Pull,
    Push,
    Decision,
    Role,
}

impl ColourBy {
    pub const ALL: [Self; 6] = [Self::Score, Self::Weight, Self::Pull, Self::Push, Self::Decision, Self::Role];

    pub fn title(self) -> &'static str {
        match self {
            Self::Score => "Score",
            Self::Weight => "Weight",
            Self::Pull => "Pull",
            Self::Push => "Push",
            Self::Decision => "Decision",
            Self::Role => "Role",
        }
    }

    /// What the two ends of the scale mean, where there is a scale.
    pub fn ends(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Score => Some(["less suspicious", "more"]),
            Self::Weight => Some(["heavy", "light"]),
            Self::Pull => Some(["near safe", "far"]),
            Self::Push => Some(["far from harmful", "near"]),
            Self::Decision | Self::Role => None,
        }
    }
}

/// Points that the legend tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Kept,
    Dropped,
    Safe,
    Harmful,
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Kept, Self::Dropped, Self::Safe, Self::Harmful];

    pub fn title(self) -> &'static str {
        match self {
            Self::Kept => "Kept",
            Self::Dropped => "Dropped",
            Self::Safe => "Safe",
            Self::Harmful => "Harmful",
        }
    }
}

/// The classes that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hidden(u32);

impl Hidden {
    pub fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u32) != 0
    }

    pub fn toggle(&mut self, class: Class) {
        self.0 ^= 1 << class as u32;
    }

    /// One bit a class, as the shader reads it.
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// The choices that are saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MapLook {
    pub shown: Shown,
    pub colour_by: ColourBy,
    pub size_by_weight: bool,
}

/// What dragging does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tool {
    #[default]
    Hand,
    Box,
    Lasso,
}

/// How a region changes the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectMode {
    Replace,
    Add,
    Subtract,
}

impl SelectMode {
    /// Shift adds, Alt takes away.
    pub fn of(modifiers: egui::Modifiers) -> Self {
        match (modifiers.alt, modifiers.shift || modifiers.command) {
            (true, _) => Self::Subtract,
            (false, true) => Self::Add,
            (false, false) => Self::Replace,
        }
    }
}
