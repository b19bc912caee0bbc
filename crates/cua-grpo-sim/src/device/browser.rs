//! The tabs of the browser. Pages are not fetched: a tab knows its address, and its title is the host.

/// Tabs that may be open.
const MOST: usize = 200;

/// A page that is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tab {
    pub id: String,
    pub url: String,
}

impl Tab {
    /// The host of the address, or the whole address.
    pub fn title(&self) -> &str {
        let rest = self.url.split_once("://").map(|(_, rest)| rest);
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        host.filter(|host| !host.is_empty()).unwrap_or(&self.url)
    }

    /// Where the icon of the page would be.
    pub fn favicon(&self) -> String {
        match self.url.split_once("://") {
            Some((scheme @ ("http" | "https"), _)) => format!("{scheme}://{}/favicon.ico", self.title()),
            _ => String::new(),
        }
    }
}

/// Whom the browser's traffic goes through; empty where it goes directly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct BrowserProxy {
    pub http: String,
    pub https: String,
    pub socks5: String,
    pub bypass: Option<Vec<String>>,
    pub pac_url: Option<String>,
}

/// All tabs, in the order in which they were opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Browser {
    pub tabs: Vec<Tab>,
    pub proxy: BrowserProxy,
    active: Option<String>,
    opened: u64,
}

impl Browser {
    /// The tab in front.
    pub fn active(&self) -> Option<&Tab> {
        self.active.as_ref().and_then(|id| self.get(id))
    }

    pub fn get(&self, id: &str) -> Option<&Tab> {
        self.tabs.iter().find(|tab| tab.id == id)
    }

    /// Opens a page in a new tab, in front.
    ///
    /// # Errors
    /// When the address is none, or there are too many tabs.
    pub fn open(&mut self, url: &str) -> Result<Tab, String> {
        check(url)?;
        if self.tabs.len() >= MOST {
            return Err(format!("tabs: at most {MOST} may be open; close some"));
        }
        self.opened += 1;
        let tab = Tab {
            id: self.opened.to_string(),
            url: url.to_owned(),
        };
        self.tabs.push(tab.clone());
        self.active = Some(tab.id.clone());
        Ok(tab)
    }

    /// Sends a tab to another address; `None` when there is no such tab.
    ///
    /// # Errors
    /// When the address is none.
    pub fn update(&mut self, id: &str, url: &str) -> Result<Option<Tab>, String> {
        check(url)?;
        let tab = self.tabs.iter_mut().find(|tab| tab.id == id);
        Ok(tab.map(|tab| {
            url.clone_into(&mut tab.url);
            tab.clone()
        }))
    }

    /// Brings a tab to the front.
    pub fn switch(&mut self, id: &str) -> Option<Tab> {
        let tab = self.get(id)?.clone();
        self.active = Some(tab.id.clone());
        Some(tab)
    }

    /// Closes a tab; the last one that is left comes to the front.
    pub fn close(&mut self, id: &str) -> bool {
        let before = self.tabs.len();
        self.tabs.retain(|tab| tab.id != id);
        if self.active().is_none() {
            self.active = self.tabs.last().map(|tab| tab.id.clone());
        }
        self.tabs.len() < before
    }
}

/// Whether a text is an address that a browser takes.
fn check(url: &str) -> Result<(), String> {
    let known = ["http://", "https://", "about:", "chrome://", "data:", "file:///"];
    let good = known
        .iter()
        .any(|start| url.len() > start.len() && url.starts_with(start));
    let plain = url.len() <= 8192 && !url.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    if good && plain {
        Ok(())
    } else {
        let shown: String = url.chars().take(80).collect();
        Err(format!(
            "url: expected an address such as https://example.com, got {shown:?}"
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_tab_is_in_front() {
        let mut browser = Browser::default();
        let first = browser.open("https://example.com/a?b").unwrap();
        let second = browser.open("about:blank").unwrap();
        assert_eq!((first.title(), second.title()), ("example.com", "about:blank"));
        assert_eq!(first.favicon(), "https://example.com/favicon.ico");
        assert_eq!(browser.active(), Some(&second));
        assert_eq!(browser.switch(&first.id), Some(first.clone()));
        assert!(browser.close(&first.id) && !browser.close(&first.id));
        assert_eq!(browser.active(), Some(&second));
        assert!(browser.open("example").is_err() && browser.open("https://").is_err());
        assert_eq!(browser.update("9", "about:blank"), Ok(None));
    }
}
