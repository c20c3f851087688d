//! The map on a real adapter (lavapipe in CI): points are where they belong, in the shape and colour of their fate.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dipole::gui::{Action, App, GuiOptions, Role};
use dipole::selection::Keep;
use egui::{Key, Modifiers, Pos2, Rect, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::fake::{Board, Fake};
use super::stage::{builder, settle, type_at_once, wait};

/// Left or right by pull, up or down by push; the last row lies in the middle.
fn forces(row: usize) -> (f64, f64) {
    [(-1.0, 1.0), (1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (0.0, 0.0)][row]
}

/// True when an adapter is there; with `DIPOLE_REQUIRE_GPU=1` its absence is a failure.
fn has_adapter() -> bool {
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

fn purified() -> Harness<'static, App> {
    let fake = Fake { rows: 5, forces, board: Arc::new(Board::default()) };
    let files = |name: &str| vec![PathBuf::from(name)];
    let options = GuiOptions {
        roles: vec![(Role::Custom, files("custom")), (Role::Safe, files("safe")), (Role::Harmful, files("harmful"))],
        auto_purify: true,
        ..GuiOptions::default()
    };
    let backend = Arc::new(fake);
    let mut harness = builder().with_render_cursor(false).wgpu().build_eframe(move |cc| App::new(cc, options, backend));
    wait(&mut harness, "the run", |app| app.session().solved.is_some());
    harness.state_mut().send(Action::SetKeep(Keep::Count(3)));
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

    // Kept is a disc: above and below its middle it is as wide. Dropped is a triangle: wider below.
    let width = |picture: &Picture, row: usize, dy: f32| {
        let place = picture.place(row) + vec2(0.0, dy);
        let ground = picture.at(picture.map.center() + vec2(37.0, 23.0));
        (-12..=12)
            .filter(|x| picture.at(place + vec2(*x as f32, 0.0)).iter().zip(ground).any(|(a, b)| a.abs_diff(b) > 24))
            .count()
    };
    let kept = (width(&before, 0, -2.0), width(&before, 0, 2.0));
    let dropped = (width(&before, 3, -2.0), width(&before, 3, 2.0));
    assert!(kept.0.abs_diff(kept.1) <= 1, "a disc: {kept:?}");
    assert!(dropped.1 >= dropped.0 + 2, "a triangle: {dropped:?}");

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
