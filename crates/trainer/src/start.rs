//! The start of a run, before anything is loaded: what it is on and who chose that, and what cannot be.

use crate::plan::before_run;
use crate::world::{Chosen, device, tasks};
use cua_grpo_android::tasks::Split;
use cua_grpo_train::TrainError;
use cua_grpo_train::config::{PhoneKind, Resolved, STARTER, SftConfig, TrainConfig};
use cua_grpo_train::run_dir::{check_name, check_usable, is_run};
use std::path::Path;

/// Address of the GBox service.
const GBOX: &str = "https://gbox.ai/api/v1";

/// Checks a run and shows its first lines: model, device, phone and tasks with who chose them, and the memory.
/// `output_dir` is checked for a new run (`fresh`).
///
/// # Errors
/// [`TrainError::Usage`] when the phone has to be chosen, a template or the device does not exist, the run folder cannot be
/// used, or the weights do not fit.
pub fn of_run(resolved: &Resolved<TrainConfig>, fresh: bool, show: &mut dyn FnMut(String)) -> Result<(), TrainError> {
    of_eval(resolved, show)?;
    if fresh {
        let origin = resolved.origin("output_dir").to_string();
        let (path, what) = (Path::new(&resolved.config.output_dir), format!("output_dir ({origin})"));
        check_usable(path, &what, is_run)?;
        check_name(path)
            .map_err(|why| TrainError::Usage(format!("{what}: `{}` {why}; choose another", path.display())))?;
    }
    resolved.overruled().into_iter().for_each(&mut *show);
    match before_run(&resolved.config)? {
        None => show("memory   not planned: the sizes of the model are known once it is here".to_owned()),
        Some(need) => {
            show(format!("memory   {}", need.line));
            if let Some(warning) = need.warning {
                show(format!("warning: memory: {warning}"));
            }
        }
    }
    Ok(())
}

/// As [`of_run`], for an evaluation: no folder is made and nothing is trained.
///
/// # Errors
/// As [`of_run`].
pub fn of_eval(resolved: &Resolved<TrainConfig>, show: &mut dyn FnMut(String)) -> Result<(), TrainError> {
    let config = &resolved.config;
    check_phone(resolved)?;
    resolved.check_hosts()?;
    tasks(config.seed, Split::Eval, config)?;
    let (words, note) = Chosen::from(config).tried(config.max_turns)?;
    let chosen = |key: &str, hint: &str| {
        let origin = resolved.origin(key);
        let hint = if origin.is_chosen() { "" } else { hint };
        format!("({}{hint})", origin.chosen_by())
    };
    let real = config.model_name != STARTER;
    let precision = if config.load_in_4bit {
        "4 bits (NF4)".to_owned()
    } else {
        config.dtype.config_name().to_owned()
    };
    show(format!(
        "model    {} in {precision} {}",
        config.model_name,
        chosen("model_name", "")
    ));
    let hint = if real { "; --device cuda for a GPU" } else { "" };
    show(format!("device   {} {}", config.device, chosen("device", hint)));
    let hint = format!("; real phones: --set gbox_base_url={GBOX}");
    let hint = if real { hint.as_str() } else { "" };
    let phone = match config.simulated() {
        true => format!("{}, inside this process", simulated(config.phone)),
        false => config.gbox_base_url.clone(),
    };
    show(format!("phone    {phone} {}", chosen("gbox_base_url", hint)));
    let by = if config.templates.is_empty() && !config.tasks.is_empty() {
        "tasks"
    } else {
        "templates"
    };
    show(format!("tasks    {words} {}", chosen(by, "")));
    if let (true, Some(model), Some(url)) = (config.is_judged(), &config.judge_model, &config.judge_base_url) {
        show(format!("judge    {model} at {url}, which is sent screenshots"));
    }
    note.into_iter().for_each(&mut *show);
    device(config.device)?;
    Ok(())
}

/// As [`of_run`], for imitation.
///
/// # Errors
/// [`TrainError::Usage`] when a template or the device does not exist, or the folder cannot be used.
pub fn of_sft(resolved: &Resolved<SftConfig>, show: &mut dyn FnMut(String)) -> Result<(), TrainError> {
    let config = &resolved.config;
    let demonstrable = tasks(config.seed, Split::Train, config)?.demonstrable();
    demonstrable.map_err(TrainError::Usage)?;
    let (words, note) = Chosen::from(config).tried(config.max_turns)?;
    let chosen = |key: &str| format!("({})", resolved.origin(key).chosen_by());
    let model = config.init_from.as_deref().unwrap_or("new, with random weights");
    show(format!("model    {model} {}", chosen("init_from")));
    show(format!("device   {} {}", config.device, chosen("device")));
    show(format!(
        "phone    {}, inside this process (the demonstrator plays on no other)",
        simulated(config.phone)
    ));
    let by = if config.templates.is_empty() && !config.tasks.is_empty() {
        "tasks"
    } else {
        "templates"
    };
    show(format!("tasks    {words} {}", chosen(by)));
    note.into_iter().for_each(&mut *show);
    device(config.device)?;
    let origin = resolved.origin("output_dir").to_string();
    check_usable(Path::new(&config.output_dir), &format!("output_dir ({origin})"), |_| {
        false
    })
}

/// The words for a simulated phone.
fn simulated(phone: PhoneKind) -> &'static str {
    match phone {
        PhoneKind::Small => "simulated",
        PhoneKind::Pixel => "simulated, the full one (phone=pixel)",
    }
}

/// A key without an address may be meant for real phones or be there by accident: who has one says which.
fn check_phone(resolved: &Resolved<TrainConfig>) -> Result<(), TrainError> {
    let key = resolved.config.gbox_api_key.as_ref();
    let keyed = key.is_some_and(|key| !key.reveal().trim().is_empty());
    if !keyed || resolved.origin("gbox_base_url").is_chosen() {
        return Ok(());
    }
    Err(TrainError::Usage(format!(
        "a key of the GBox service is set ({}), but no address: choose the phone. Real phones: --set gbox_base_url={GBOX}. \
         The simulated phone inside this process: --set gbox_base_url=sim. Or set GBOX_BASE_URL, or the key gbox_base_url \
         in a file",
        resolved.origin("gbox_api_key")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_train::config::{Flag, Sources, Variable, resolve};

    fn resolved(environment: &[(&str, &str)], flags: &[&str]) -> Resolved<TrainConfig> {
        resolve(&Sources {
            file: None,
            saved: false,
            environment: environment
                .iter()
                .map(|(name, value)| Variable::new(name, value))
                .collect(),
            given: Vec::new(),
            flags: flags.iter().map(|text| Flag::assignment(text).unwrap()).collect(),
        })
        .unwrap()
    }

    #[test]
    fn a_key_without_an_address_asks_for_the_phone() {
        let text = check_phone(&resolved(&[("GBOX_API_KEY", "k")], &[]))
            .unwrap_err()
            .to_string();
        for words in ["variable GBOX_API_KEY", "gbox_base_url=https://", "gbox_base_url=sim"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
        let chosen: [Case; 5] = [
            (&[], &[]),
            (&[("GBOX_API_KEY", "")], &[]),
            (&[("GBOX_API_KEY", "k")], &["gbox_base_url=sim"]),
            (
                &[("GBOX_API_KEY", "k"), ("GBOX_BASE_URL", "https://gbox.ai/api/v1")],
                &[],
            ),
            (
                &[("GBOX_API_KEY", "k"), ("GBOX_CLIENT_BASE_URL", "http://127.0.0.1:1")],
                &[],
            ),
        ];
        for (environment, flags) in chosen {
            check_phone(&resolved(environment, flags)).unwrap();
        }
    }

    #[test]
    fn the_first_lines_say_what_and_by_whom() {
        let mut lines = Vec::new();
        let flags = ["model_name=Qwen/Qwen3-VL-8B-Instruct"];
        of_eval(
            &resolved(&[("MAX_STEPS", "3"), ("CUA_TEMPLATES", "wifi")], &flags),
            &mut |line| lines.push(line),
        )
        .unwrap();
        assert_eq!(lines[0], "model    Qwen/Qwen3-VL-8B-Instruct in float32 (flag --set)");
        assert_eq!(
            lines[1],
            "device   cpu (built-in configs/quickstart.yaml; --device cuda for a GPU)"
        );
        assert!(
            lines[2]
                .starts_with("phone    simulated, inside this process (built-in configs/quickstart.yaml; real phones")
        );
        assert!(
            lines[3].ends_with("templates: wifi (environment variable CUA_TEMPLATES)"),
            "{}",
            lines[3]
        );
        lines.clear();
        of_eval(&resolved(&[], &[]), &mut |line| lines.push(line)).unwrap();
        assert!(
            lines[3].contains("15 of") && lines[3].contains("and 12 more"),
            "{}",
            lines[3]
        );
    }
}
