//! Pan and zoom: which part of the plane the map shows.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

/// The visible part of the plane: its middle, and points of screen per unit along each axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    pub middle: [f32; 2],
    pub zoom: Vec2,
}

impl Camera {
    /// Shows everything between `low` and `high`, with a margin.
    pub fn fit(low: [f32; 2], high: [f32; 2], screen: Rect) -> Self {
        let span = vec2((high[0] - low[0]).max(f32::MIN_POSITIVE), (high[1] - low[1]).max(f32::MIN_POSITIVE));
        let room = (screen.size() - vec2(48.0, 48.0)).max(vec2(16.0, 16.0));
        Self { middle: [(low[0] + high[0]) / 2.0, (low[1] + high[1]) / 2.0], zoom: room / span }
    }

    /// The same with one scale at most twice the other, for places whose distances mean something.
    pub fn fit_even(low: [f32; 2], high: [f32; 2], screen: Rect) -> Self {
        let whole = Self::fit(low, high, screen);
        let most = 2.0 * whole.zoom.min_elem();
        Self { zoom: whole.zoom.min(Vec2::splat(most)), ..whole }
    }

    pub fn to_screen(self, at: [f32; 2], screen: Rect) -> Pos2 {
        let centre = screen.center();
        pos2(centre.x + (at[0] - self.middle[0]) * self.zoom.x, centre.y - (at[1] - self.middle[1]) * self.zoom.y)
    }

    pub fn to_plane(self, at: Pos2, screen: Rect) -> [f32; 2] {
        let away = at - screen.center();
        [self.middle[0] + away.x / self.zoom.x, self.middle[1] - away.y / self.zoom.y]
    }

    /// Moves the picture by a distance on screen.
    pub fn pan(&mut self, by: Vec2) {
        self.middle[0] -= by.x / self.zoom.x;
        self.middle[1] += by.y / self.zoom.y;
    }

    /// Zooms about a place on screen, which stays where it is.
    pub fn zoom_at(&mut self, factor: f32, at: Pos2, screen: Rect) {
        let held = self.to_plane(at, screen);
        self.zoom *= factor.clamp(0.2, 5.0);
        let moved = self.to_screen(held, screen);
        self.pan(at - moved);
    }

    /// Clip position = position · scale + offset.
    pub fn clip(self, screen: Rect) -> ([f32; 2], [f32; 2]) {
        let half = screen.size() / 2.0;
        let scale = [self.zoom.x / half.x, self.zoom.y / half.y];
        (scale, [-self.middle[0] * scale[0], -self.middle[1] * scale[1]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screen_and_plane_are_inverse_and_zoom_holds_the_pointer() {
        let screen = Rect::from_min_size(pos2(10.0, 20.0), vec2(400.0, 300.0));
        let mut camera = Camera::fit([-1.0, 0.0], [3.0, 2.0], screen);
        for at in [[0.0, 0.0], [2.5, 1.5]] {
            let back = camera.to_plane(camera.to_screen(at, screen), screen);
            assert!((back[0] - at[0]).abs() < 1e-4 && (back[1] - at[1]).abs() < 1e-4);
        }
        let pointer = pos2(100.0, 80.0);
        let held = camera.to_plane(pointer, screen);
        camera.zoom_at(1.7, pointer, screen);
        let still = camera.to_plane(pointer, screen);
        assert!((held[0] - still[0]).abs() < 1e-4 && (held[1] - still[1]).abs() < 1e-4);
    }

    #[test]
    fn clip_coordinates_agree_with_the_screen() {
        let screen = Rect::from_min_size(pos2(0.0, 0.0), vec2(200.0, 100.0));
        let camera = Camera::fit([0.0, 0.0], [1.0, 1.0], screen);
        let (scale, offset) = camera.clip(screen);
        let at = [0.2, 0.9];
        let clip = [at[0] * scale[0] + offset[0], at[1] * scale[1] + offset[1]];
        let seen = camera.to_screen(at, screen);
        assert!((seen.x - (clip[0] + 1.0) * 100.0).abs() < 1e-3);
        assert!((seen.y - (1.0 - clip[1]) * 50.0).abs() < 1e-3);
    }
}
