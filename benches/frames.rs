//! What a frame costs the CPU while a model is trained in the window's background threads.
//!
//! `cargo bench --bench frames -- [STEPS]`, by default 60 steps of the built-in model on the purified sample. The window
//! runs without a screen, at most sixty frames a second; told are the CPU time and the clock time that logic, layout and
//! tessellation of a frame take on the window's thread, and the tokens a second that training reaches beside it. The
//! drawing by wgpu is `dipole bench map`'s.

use std::time::{Duration, Instant};

use dipole::gui::{Action, Step};

#[path = "../tests/panes/window.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod window;
use window::Window;

const FRAME: Duration = Duration::from_micros(16_667);

/// Seconds this thread has computed, where the system tells.
fn computed() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e9)
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted.get((share * (sorted.len().max(1) - 1) as f64) as usize).copied().unwrap_or(f64::NAN)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps = std::env::args().skip(1).find(|argument| argument.parse::<u32>().is_ok()).unwrap_or("60".to_owned());
    let home = tempfile::tempdir()?;
    let model = dipole::project::model_folder("starter".as_ref(), &home.path().join("starter"))?;
    let mut window = Window::purified();
    window.send(Action::GoTo(Step::Tune));
    window.type_into("Base model folder", &model.display().to_string());
    window.until("the model", |window| window.app().session().tune.base.ok().is_some());
    window.click("Quick trial");
    window.type_into("Number of steps", &steps);
    window.until_idle();
    for training in [false, true] {
        if training {
            window.click("Fine-tune on the kept rows with their weights");
        }
        let (mut cpu, mut clock, began) = (Vec::new(), Vec::new(), Instant::now());
        loop {
            let (frame, before) = (Instant::now(), computed());
            window.harness.step();
            let shapes = window.harness.output().shapes.clone();
            let drawn = window.harness.ctx.tessellate(shapes, 1.0);
            std::hint::black_box(drawn);
            clock.push(frame.elapsed().as_secs_f64());
            cpu.extend(before.zip(computed()).map(|(before, after)| after - before));
            let over = if training {
                let tune = &window.app().session().tune;
                tune.live.is_none() && tune.shown.is_some()
            } else {
                began.elapsed() > Duration::from_secs(3)
            };
            if over {
                break;
            }
            std::thread::sleep(FRAME.saturating_sub(frame.elapsed()));
        }
        cpu.sort_by(f64::total_cmp);
        clock.sort_by(f64::total_cmp);
        let told =
            |times: &[f64]| [0.5, 0.99, 1.0].map(|share| format!("{:.1}", 1e3 * quantile(times, share))).join(" / ");
        println!(
            "{}: {} frames in {:.0} s; CPU {} ms, by the clock {} ms (median / 99th percentile / largest)",
            if training { "while it trains" } else { "at rest" },
            clock.len(),
            began.elapsed().as_secs_f64(),
            told(&cpu),
            told(&clock),
        );
    }
    let shown = window.app().session().tune.shown.as_ref().ok_or("no run is shown")?;
    println!("{} steps, {:?}", shown.steps.len(), shown.run.run.state);
    Ok(())
}
