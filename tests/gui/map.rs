//! The map on a real adapter (lavapipe in CI): points are where they belong, in the shape and colour of their fate.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dipole::gui::map::{Camera, Class, ColourBy, MapLook, Shown, Tool};
use dipole::gui::{Action, App, GuiOptions, Role};
use dipole::selection::Keep;
use egui::{Key, Modifiers, Pos2, Rect, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::fake::{Board, Fake, REFERENCES};
use super::stage::{builder, settle, type_at_once, wait};

/// Left or right by pull, up or down by push; the last row lies in the middle.
fn forces(row: usize) -> (f64, f64) {
    [(-1.0, 1.0), (1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (0.0, 0.0)][row]
}

/// True when an adapter is there; with `DIPOLE_REQUIRE_GPU=1` its absence is a failure.
pub fn has_adapter() -> bool {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    // On this platform the future is ready at once.
    let mut adapters = std::pin::pin!(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let found = adapters.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let there = matches!(found, Poll::Ready(adapters) if !adapters.is_empty());
    if !there {
        assert!(std::env::var_os("DIPOLE_REQUIRE_GPU").is_none_or(|v| v != "1"), "no graphics adapter");
        eprintln!("skipped: no graphics adapter");
    }
    there
}

pub fn purified() -> Harness<'static, App> {
    opened(Fake { rows: 5, forces, board: Arc::new(Board::default()) }, 3)
}

pub fn opened(fake: Fake, keep: usize) -> Harness<'static, App> {
    let files = |name: &str| vec![PathBuf::from(name)];
    let options = GuiOptions {
        roles: vec![(Role::Custom, files("custom")), (Role::Safe, files("safe")), (Role::Harmful, files("harmful"))],
        auto_purify: true,
        ..GuiOptions::default()
    };
    let backend = Arc::new(fake);
    let mut harness = builder().with_render_cursor(false).wgpu().build_eframe(move |cc| App::new(cc, options, backend));
    wait(&mut harness, "the run", |app| app.session().solved.is_some());
    harness.state_mut().send(Action::SetKeep(Keep::Count(keep)));
    settle(&mut harness);
    harness
}

struct Picture {
    image: image::RgbaImage,
    map: Rect,
}

impl Picture {
    fn of(harness: &mut Harness<'_, App>) -> Self {
        let map = harness.get_by_label("Map of pull and push").rect();
        Self { image: harness.render().expect("rendered"), map }
    }

    fn at(&self, place: Pos2) -> [u8; 3] {
        let [r, g, b, _] = self.image.get_pixel(place.x as u32, place.y as u32).0;
        [r, g, b]
    }

    /// Where a row lies: the camera fits the corners 24 points inside the edges.
    fn place(&self, row: usize) -> Pos2 {
        let (pull, push) = forces(row);
        let half = self.map.size() / 2.0 - vec2(24.0, 24.0);
        self.map.center() + vec2(pull as f32 * half.x, push as f32 * half.y)
    }

    /// Pixels around a place that differ from the ground.
    fn painted(&self, place: Pos2, reach: i32) -> usize {
        let ground = self.at(self.map.center() + vec2(37.0, 23.0));
        let around = (-reach..=reach).flat_map(|y| (-reach..=reach).map(move |x| vec2(x as f32, y as f32)));
        around.filter(|away| self.at(place + *away).iter().zip(ground).any(|(a, b)| a.abs_diff(b) > 24)).count()
    }
}

#[test]
fn points_are_drawn_where_they_belong_and_look_like_their_fate() {
    if !has_adapter() {
        return;
    }
    let mut harness = purified();
    // Nothing is selected near the points that are looked at: the cursor goes to the middle.
    harness.state_mut().send(Action::Select(4));
    settle(&mut harness);
    let before = Picture::of(&mut harness);

    let [r, _, b] = before.at(before.place(3));
    assert!(r > b, "row 3 is far from safe and close to harmful: it has a warm colour, not {r} {b}");
    let [r, _, b] = before.at(before.place(0));
    assert!(b > r, "row 0 is close to safe and far from harmful: it has a cool colour, not {r} {b}");
    for row in 0..4 {
        let painted = before.painted(before.place(row), 10);
        assert!((20..200).contains(&painted), "row {row}: {painted} pixels");
    }
    assert_eq!(before.painted(before.map.center() + vec2(120.0, 60.0), 6), 0, "nothing is drawn where no row lies");

    // Kept is a disc: full in its middle row. Dropped is a cross: its middle row is narrower than those off it.
    let width = |picture: &Picture, row: usize, dy: f32| {
        let place = picture.place(row) + vec2(0.0, dy);
        let ground = picture.at(picture.map.center() + vec2(37.0, 23.0));
        (-12..=12)
            .filter(|x| picture.at(place + vec2(*x as f32, 0.0)).iter().zip(ground).any(|(a, b)| a.abs_diff(b) > 24))
            .count()
    };
    let kept = (width(&before, 0, 0.0), width(&before, 0, 3.0));
    let dropped = (width(&before, 3, 0.0), width(&before, 3, 3.0));
    assert!(kept.0 >= kept.1, "a disc: {kept:?}");
    assert!(dropped.1 > dropped.0 + 1, "a cross: {dropped:?}");

    // A decision by hand draws a ring around the point, in the frame after it is on disk.
    harness.state_mut().send(Action::Select(3));
    type_at_once(&mut harness, &[(Key::K, Modifiers::NONE)]);
    settle(&mut harness);
    harness.state_mut().send(Action::Select(4));
    settle(&mut harness);
    let after = Picture::of(&mut harness);
    assert!(after.painted(after.place(3), 12) > before.painted(before.place(3), 12) + 15, "a ring is drawn");
}

#[test]
fn a_click_on_a_point_selects_its_row_in_the_table() {
    if !has_adapter() {
        return;
    }
    let mut harness = purified();
    for row in [0, 3, 4] {
        let place = Picture::of(&mut harness).place(row) + vec2(2.0, 1.0);
        harness.hover_at(place);
        harness.drag_at(place);
        harness.event(egui::Event::PointerButton {
            pos: place,
            button: egui::PointerButton::Primary,
            pressed: false,
            modifiers: Modifiers::NONE,
        });
        settle(&mut harness);
        assert_eq!(harness.state().session().table.cursor, Some(row as u32));
    }
    // Dragging pans, and the key brings everything back into sight.
    let map = Picture::of(&mut harness).map;
    harness.hover_at(map.center() + vec2(60.0, 30.0));
    harness.drag_at(map.center() + vec2(60.0, 30.0));
    harness.hover_at(map.center() + vec2(160.0, 30.0));
    harness.drop_at(map.center() + vec2(160.0, 30.0));
    settle(&mut harness);
    let panned = Picture::of(&mut harness);
    assert!(panned.painted(panned.place(0) + vec2(100.0, 0.0), 8) >= 20, "the picture moved with the pointer");
    assert_eq!(panned.painted(panned.place(0), 8), 0);
    type_at_once(&mut harness, &[(Key::Num0, Modifiers::NONE)]);
    settle(&mut harness);
    let whole = Picture::of(&mut harness);
    assert!(whole.painted(whole.place(0), 8) >= 20);
}

/// Twenty rows alike, twenty others alike, and references of both kinds.
fn by_meaning() -> Harness<'static, App> {
    let board = Board::default();
    board.has_vectors.store(true, std::sync::atomic::Ordering::Relaxed);
    let forces = |row: usize| (row as f64 * 0.01, if row % 2 == 1 { -1.0 } else { 1.0 });
    opened(Fake { rows: 40, forces, board: Arc::new(board) }, 20)
}

/// Where a point of the map by meaning is on screen.
fn on_screen(harness: &Harness<'_, App>, point: u32) -> Pos2 {
    let map = harness.get_by_label("Map by meaning").rect();
    let solved = harness.state().session().solved.clone().expect("a result");
    let placed = solved.cloud.placement(Shown::Meaning);
    Camera::fit_even(placed.low, placed.high, map).to_screen(placed.position(point).expect("a place"), map)
}

/// Draws along the corners with the button held.
pub fn draw(harness: &mut Harness<'_, App>, corners: &[Pos2], modifiers: Modifiers) {
    harness.event(egui::Event::ModifiersChanged(modifiers));
    harness.hover_at(corners[0]);
    harness.step();
    harness.drag_at(corners[0]);
    harness.step();
    for corner in corners {
        harness.hover_at(*corner);
        harness.step();
    }
    harness.drop_at(corners[corners.len() - 1]);
    harness.step();
    settle(harness);
    harness.event(egui::Event::ModifiersChanged(Modifiers::NONE));
    harness.step();
}

/// The corners of a box around the given points.
fn around(harness: &Harness<'_, App>, points: impl Iterator<Item = u32>) -> Rect {
    let places: Vec<Pos2> = points.map(|point| on_screen(harness, point)).collect();
    Rect::from_points(&places).expand(6.0)
}

#[test]
fn a_lasso_and_a_box_select_what_they_surround_and_the_table_follows() {
    if !has_adapter() {
        return;
    }
    let mut harness = by_meaning();
    let selected = |harness: &Harness<'_, App>| harness.state().session().table.selected.iter().collect::<Vec<u32>>();
    let even = around(&harness, (0..40).step_by(2));
    let odd = around(&harness, (1..40).step_by(2));
    assert!(!even.intersects(odd), "the two kinds lie apart: {even} and {odd}");

    harness.state_mut().send(Action::SetMapTool(Tool::Lasso));
    settle(&mut harness);
    let corners = [even.left_top(), even.right_top(), even.right_bottom(), even.left_bottom(), even.left_top()];
    draw(&mut harness, &corners, Modifiers::NONE);
    assert_eq!(selected(&harness), (0..40).step_by(2).collect::<Vec<u32>>());
    let cursor = harness.state().session().table.cursor;
    assert!(cursor.is_some_and(|row| row % 2 == 0), "the table's cursor is one of them: {cursor:?}");

    // A box with Shift adds, one with Alt takes away.
    harness.state_mut().send(Action::SetMapTool(Tool::Box));
    settle(&mut harness);
    draw(&mut harness, &[odd.left_top(), odd.right_bottom()], Modifiers::SHIFT);
    assert_eq!(selected(&harness), (0..40).collect::<Vec<u32>>());
    draw(&mut harness, &[even.left_top(), even.right_bottom()], Modifiers::ALT);
    assert_eq!(selected(&harness), (1..40).step_by(2).collect::<Vec<u32>>());

    // What is left out is not taken.
    harness.state_mut().send(Action::ToggleClass(Class::Kept));
    let map = harness.get_by_label("Map by meaning").rect().shrink(2.0);
    draw(&mut harness, &[map.left_top(), map.right_bottom()], Modifiers::NONE);
    let dropped = harness.state().session().counts.dropped;
    assert_eq!(selected(&harness).len(), dropped);
}

#[test]
fn references_have_their_colour_and_partners_and_can_be_left_out() {
    if !has_adapter() {
        return;
    }
    let mut harness = by_meaning();
    harness.state_mut().send(Action::SetMapLook(MapLook { colour_by: ColourBy::Role, ..MapLook::default() }));
    harness.state_mut().send(Action::Select(1));
    settle(&mut harness);
    let partners = harness.state().session().map.partners.clone().expect("partners of the row under the cursor");
    assert_eq!(partners.row, 1);
    // With equal potentials an odd row's mass lies on the harmful references evenly, as they are all close to it.
    assert_eq!(partners.harmful.len(), REFERENCES);
    let share: f64 = partners.harmful.iter().map(|(_, share)| share).sum();
    assert!((share - 1.0).abs() < 1e-9 && partners.harmful.iter().all(|(point, _)| *point >= 46), "{partners:?}");

    // The cursor goes to a row of the other side, so that no line crosses the references that are looked at.
    harness.state_mut().send(Action::Select(0));
    settle(&mut harness);
    let colour = |harness: &mut Harness<'_, App>, point: u32| -> [i32; 3] {
        let place = on_screen(harness, point);
        let image = harness.render().expect("rendered");
        let [r, g, b, _] = image.get_pixel(place.x as u32, place.y as u32).0;
        [r, g, b].map(i32::from)
    };
    let warm = (46..52).filter(|point| {
        let [r, _, b] = colour(&mut harness, *point);
        r > b + 40
    });
    assert!(warm.count() >= 3, "harmful references are warm");
    harness.state_mut().send(Action::ToggleClass(Class::Harmful));
    settle(&mut harness);
    let warm = (46..52).filter(|point| {
        let [r, _, b] = colour(&mut harness, *point);
        r > b + 40
    });
    assert_eq!(warm.count(), 0, "harmful references are left out, and so are the lines to them");
}

/// Evenly over the square.
fn dense(row: usize) -> (f64, f64) {
    let part = |shift: u32| ((row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift & 0xffff) as f64 / 65535.0;
    (part(40) - 0.5, part(20) - 0.5)
}

#[test]
fn many_rows_become_a_density_and_a_picture_of_the_map_is_saved() {
    if !has_adapter() {
        return;
    }
    let mut harness = opened(Fake { rows: 120_000, forces: dense, board: Arc::new(Board::default()) }, 60_000);
    let map = harness.get_by_label("Map of pull and push").rect();
    let image = harness.render().expect("rendered");
    let ground = image.get_pixel(map.left() as u32 + 3, map.center().y as u32).0;
    let inner = map.shrink2(vec2(60.0, 60.0));
    let places = (0..400).map(|i| inner.min + vec2((i % 20) as f32 / 20.0, (i / 20) as f32 / 20.0) * inner.size());
    let covered = places.filter(|at| {
        let pixel = image.get_pixel(at.x as u32, at.y as u32).0;
        pixel.iter().zip(ground).any(|(a, b)| a.abs_diff(b) > 16)
    });
    assert!(covered.count() > 380, "rows that lie evenly cover the map evenly");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("map.png");
    harness.state_mut().send(Action::SaveMap(path.clone()));
    settle(&mut harness);
    let picture = image::open(&path).expect("a picture").to_rgb8();
    assert!(picture.width() as f32 >= map.width() - 1.0 && picture.height() as f32 > map.height());
    assert!((picture.height() as f32) < map.height() + 90.0, "the map with its head, not the window");
}
