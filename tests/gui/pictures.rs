//! Pictures of the map beside those that a person has looked at (`tests/snapshots`), drawn by a software adapter.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --test gui pictures` takes new ones. A pixel may differ by what egui_kittest allows
//! between adapters, and as many pixels as the edges of a few points have may differ by more.

use std::sync::Arc;

use dipole::gui::map::Tool;
use dipole::gui::{Action, App};
use egui::Rect;
use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotOptions, SnapshotResults};

use super::fake::{Board, Fake};
use super::map::{draw, has_adapter, opened, purified};
use super::stage::settle;

const DIFFERENT: usize = 60;
/// The map whose places are given here; the one by meaning may differ between processors.
const MAP: &str = "Map of pull and push";

/// Two round clusters, one four times as crowded as the other.
fn clusters(row: usize) -> (f64, f64) {
    let part = |shift: u32| ((row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift & 0xfff) as f64 / 4095.0 - 0.5;
    let centre = if row.is_multiple_of(5) { 0.5 } else { -0.3 };
    (centre + part(52) + part(40) * 0.5, centre + part(28) + part(16) * 0.5)
}

fn compare(results: &mut SnapshotResults, harness: &mut Harness<'_, App>, name: &str) {
    let rect: Rect = harness.get_by_label(MAP).rect();
    let image = harness.render().expect("rendered");
    let part = image::imageops::crop_imm(
        &image,
        rect.left() as u32,
        rect.top() as u32,
        rect.width() as u32,
        rect.height() as u32,
    );
    let options = SnapshotOptions::new().max_failed_pixels(DIFFERENT);
    results.add(egui_kittest::try_image_snapshot_options(&part.to_image(), name, &options));
}

#[test]
fn the_map_looks_as_it_did() {
    if !has_adapter() {
        return;
    }
    let mut results = SnapshotResults::new();
    let mut harness = purified();
    harness.state_mut().send(Action::Select(4));
    settle(&mut harness);
    compare(&mut results, &mut harness, "map_forces");

    harness.state_mut().send(Action::ToggleTheme);
    settle(&mut harness);
    compare(&mut results, &mut harness, "map_light");

    harness.state_mut().send(Action::SetMapTool(Tool::Lasso));
    settle(&mut harness);
    let map = harness.get_by_label(MAP).rect();
    let left = Rect::from_min_max(map.min, map.center_bottom()).shrink(8.0);
    let corners = [left.left_top(), left.right_top(), left.left_bottom(), left.left_top()];
    draw(&mut harness, &corners, egui::Modifiers::NONE);
    assert_eq!(harness.state().session().table.selected.iter().collect::<Vec<u32>>(), [0, 2]);
    compare(&mut results, &mut harness, "map_lasso");

    let mut harness = opened(Fake { rows: 120_000, forces: clusters, board: Arc::new(Board::default()) }, 60_000);
    compare(&mut results, &mut harness, "map_density");
}
