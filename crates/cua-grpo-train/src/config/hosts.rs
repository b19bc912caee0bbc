//! Where keys are sent to. A run folder may be somebody else's, and so may be the addresses that its configuration names.

use super::{Resolved, TrainConfig};
use crate::error::TrainError;
use url::{Host, Url};

/// The host of the GBox service, whose keys these are.
const GBOX: &str = "gbox.ai";

impl Resolved<TrainConfig> {
    /// Checks that no key of the user goes to an address that only a saved configuration names. Addresses of this machine
    /// and of the GBox service are let be.
    ///
    /// # Errors
    /// [`TrainError::Usage`] with the address, and how to choose it.
    pub fn check_hosts(&self) -> Result<(), TrainError> {
        let config = &self.config;
        let judge = config.judge_base_url.as_deref().filter(|_| config.is_judged());
        let gbox = (!config.simulated()).then_some(config.gbox_base_url.as_str());
        for (name, address, key, has_key) in [
            ("gbox_base_url", gbox, "gbox_api_key", config.gbox_api_key.is_some()),
            ("judge_base_url", judge, "judge_api_key", config.judge_api_key.is_some()),
        ] {
            let origin = self.origin(name);
            let others = |address: &&str| has_key && self.is_saved(name) && !is_known(address);
            let Some(address) = address.filter(others) else {
                continue;
            };
            return Err(TrainError::Usage(format!(
                "`{name}` is {address} by {origin}, which may be somebody else's, and `{key}` ({}) would be sent there: if \
                 the address is right, say so with {}",
                self.origin(key),
                crate::shell::word(&format!("--set={name}={address}"))
            )));
        }
        Ok(())
    }

    /// [`Resolved::check_hosts`], in a chain.
    ///
    /// # Errors
    /// As [`Resolved::check_hosts`].
    pub fn checked(self) -> Result<Self, TrainError> {
        self.check_hosts().map(|()| self)
    }
}

/// Whether an address is on this machine, or the GBox service's own over a safe connection.
fn is_known(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else {
        return false;
    };
    match url.host() {
        Some(Host::Domain(name)) => {
            let own = name == "localhost" || name.ends_with(".localhost");
            own || (url.scheme() == "https" && (name == GBOX || name.ends_with(&format!(".{GBOX}"))))
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flag, Sources, Variable, resolve};

    fn resolved(text: &str, saved: bool, flags: &[&str]) -> Resolved<TrainConfig> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, text).unwrap();
        let keys = [("GBOX_API_KEY", "k"), ("CUA_JUDGE_API_KEY", "j")];
        resolve(&Sources {
            file: Some(file),
            saved,
            environment: keys.map(|(name, value)| Variable::new(name, value)).into(),
            given: Vec::new(),
            flags: flags.iter().map(|flag| Flag::assignment(flag).unwrap()).collect(),
        })
        .unwrap()
    }

    #[test]
    fn keys_do_not_go_to_an_address_that_a_saved_configuration_alone_names() {
        let evil = "gbox_base_url: https://evil.example/api/v1";
        let error = resolved(evil, true, &[]).check_hosts().unwrap_err().to_string();
        for word in [
            "evil.example",
            "config.yaml",
            "GBOX_API_KEY",
            "--set=gbox_base_url=https://evil.example",
        ] {
            assert!(error.contains(word), "{word}: {error}");
        }
        let judge = "gbox_base_url: sim\nreward: judge\njudge_model: m\njudge_base_url: http://10.0.0.1/v1";
        let error = resolved(judge, true, &[]).check_hosts().unwrap_err().to_string();
        assert!(error.contains("`judge_base_url` is http://10.0.0.1/v1"), "{error}");
        let chosen = "gbox_base_url=https://evil.example/api/v1";
        assert!(
            resolved(evil, true, &[chosen]).check_hosts().is_ok(),
            "the user names it"
        );
        assert!(
            resolved(evil, false, &[]).check_hosts().is_ok(),
            "a file of --config is the user's"
        );
        for known in [
            "sim",
            "https://gbox.ai/api/v1",
            "http://127.0.0.1:9/api/v1",
            "http://localhost:1",
            "http://[::1]:2",
        ] {
            let text = format!("gbox_base_url: '{known}'");
            assert!(resolved(&text, true, &[]).check_hosts().is_ok(), "{known}");
        }
        for other in ["http://gbox.ai/api/v1", "https://gbox.ai.example", "https://notgbox.ai"] {
            let text = format!("gbox_base_url: '{other}'");
            assert!(resolved(&text, true, &[]).check_hosts().is_err(), "{other}");
        }
    }
}
