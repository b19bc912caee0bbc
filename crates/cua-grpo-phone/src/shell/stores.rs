//! Rows of what apps keep for themselves: mails, bookmarks, saved places, songs, playlists, the cart of the shop. These
//! tables are the simulator's own: no provider of a real phone has them.

use super::people::{Row, text};
use crate::{
    apps::{CART, CHROME, MAPS, MUSIC, SONGS, THINGS},
    state::{State, data::Mail},
};

/// A table of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Mails.
    Mails,
    /// Bookmarks of the browser.
    Bookmarks,
    /// Saved places of the map.
    Places,
    /// Songs, with whether they are liked and play.
    Songs,
    /// Playlists with the titles on them.
    Playlists,
    /// Things in the cart.
    Cart,
    /// Orders.
    Orders,
}

/// Values of a command by their columns.
type Values<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Store {
    /// The table of the path of a URI.
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "com.google.android.gm/mails" => Self::Mails,
            "com.android.chrome/bookmarks" => Self::Bookmarks,
            "com.google.android.apps.maps/saved" => Self::Places,
            "com.google.android.apps.youtube.music/songs" => Self::Songs,
            "com.google.android.apps.youtube.music/playlists" => Self::Playlists,
            "com.example.market/cart" => Self::Cart,
            "com.example.market/orders" => Self::Orders,
            _ => return None,
        })
    }

    /// All rows.
    pub fn rows(self, state: &State) -> Vec<Row> {
        let numbered = |name: &'static str, list: Vec<String>| {
            let row = |(index, value): (usize, String)| vec![("_id", text(index + 1)), (name, Some(value))];
            list.into_iter().enumerate().map(row).collect()
        };
        match self {
            Self::Mails => state.mails.iter().map(mail).collect(),
            Self::Bookmarks => numbered("url", lines(state, CHROME, "bookmarks")),
            Self::Places => numbered("name", lines(state, MAPS, "saved")),
            Self::Songs => {
                let (liked, now) = (numbers(state, "favourites"), kept(state, MUSIC, "song"));
                let plays = kept(state, MUSIC, "playing") == "1";
                let song = |(index, (title, artist, _)): (usize, &(&str, &str, u32))| {
                    vec![
                        ("_id", text(index + 1)),
                        ("title", text(title)),
                        ("artist", text(artist)),
                        ("liked", text(u8::from(liked.contains(&index)))),
                        ("playing", text(u8::from(plays && now == index.to_string()))),
                    ]
                };
                SONGS.iter().enumerate().map(song).collect()
            }
            Self::Playlists => {
                let list = playlists(state).into_iter().enumerate();
                let row = |(index, name): (usize, String)| {
                    let songs = numbers(state, &format!("playlist {name}"));
                    let titles: Vec<&str> = songs.iter().map(|index| SONGS[*index].0).collect();
                    vec![
                        ("_id", text(index + 1)),
                        ("name", Some(name)),
                        ("songs", Some(titles.join("; "))),
                    ]
                };
                list.map(row).collect()
            }
            Self::Cart => {
                let pairs = kept(state, CART, "cart")
                    .split(',')
                    .filter_map(|pair| pair.split_once('x'));
                let row = |(index, count): (&str, &str)| {
                    let index: usize = index.parse().ok()?;
                    let name = THINGS.get(index)?.0;
                    Some(vec![
                        ("_id", text(index + 1)),
                        ("name", text(name)),
                        ("count", text(count)),
                    ])
                };
                pairs.filter_map(row).collect()
            }
            Self::Orders => {
                let list = lines(state, CART, "orders").into_iter().enumerate();
                let row = |(index, line): (usize, String)| {
                    let mut parts = line.split('|');
                    let mut part = || parts.next().unwrap_or_default().to_owned();
                    vec![
                        ("_id", text(index + 1)),
                        ("date", Some(part())),
                        ("items", Some(part())),
                        ("total", Some(part())),
                    ]
                };
                list.map(row).collect()
            }
        }
    }

    /// Writes a row that was changed, or a new one without `id`. An error says what cannot be.
    pub fn write(self, state: &mut State, id: Option<u32>, value: Values) -> Result<(), String> {
        let needed = |name: &str| {
            let found = value(name).filter(|text| !text.is_empty() && !text.contains('\n'));
            found.ok_or_else(|| format!("IllegalArgumentException: {name} is needed, in one line"))
        };
        match (self, id) {
            (Self::Mails, _) => write_mail(state, id, value),
            (Self::Bookmarks, None) => add_line(state, CHROME, "bookmarks", needed("url")?),
            (Self::Places, None) => add_line(state, MAPS, "saved", needed("name")?),
            (Self::Playlists, None) => keep(state, MUSIC, &format!("playlist {}", needed("name")?), String::new()),
            (Self::Cart, None) => {
                let name = needed("name")?;
                let index = THINGS.iter().position(|thing| thing.0 == name);
                let index = index.ok_or_else(|| format!("IllegalArgumentException: the shop has no {name:?}"))?;
                let count = value("count").and_then(|count| count.parse::<u32>().ok()).unwrap_or(1);
                let mut list = kept(state, CART, "cart").to_owned();
                if !list.is_empty() {
                    list.push(',');
                }
                keep(state, CART, "cart", format!("{list}{index}x{count}"));
            }
            _ => return Err("UnsupportedOperationException: this table is read only here".to_owned()),
        }
        Ok(())
    }

    /// Deletes a row.
    pub fn delete(self, state: &mut State, id: u32) {
        let at = (id as usize).wrapping_sub(1);
        match self {
            Self::Mails => state.mails.retain(|mail| mail.id != id),
            Self::Bookmarks => drop_line(state, CHROME, "bookmarks", at),
            Self::Places => drop_line(state, MAPS, "saved", at),
            Self::Orders => drop_line(state, CART, "orders", at),
            Self::Playlists => {
                if let Some(name) = playlists(state).get(at)
                    && let Some(package) = state.packages.get_mut(MUSIC)
                {
                    package.memory.remove(&format!("playlist {name}"));
                }
            }
            Self::Cart => {
                let begin = format!("{at}x");
                let left: Vec<&str> = kept(state, CART, "cart")
                    .split(',')
                    .filter(|pair| !pair.starts_with(&begin))
                    .collect();
                let left = left.join(",");
                keep(state, CART, "cart", left);
            }
            Self::Songs => {}
        }
    }
}

fn kept<'a>(state: &'a State, package: &str, key: &str) -> &'a str {
    let known = state.packages.get(package);
    known.and_then(|known| known.memory.get(key)).map_or("", String::as_str)
}

fn keep(state: &mut State, package: &str, key: &str, value: String) {
    if let Some(known) = state.packages.get_mut(package) {
        known.memory.insert(key.to_owned(), value);
    }
}

fn lines(state: &State, package: &str, key: &str) -> Vec<String> {
    kept(state, package, key).lines().map(str::to_owned).collect()
}

fn add_line(state: &mut State, package: &str, key: &str, line: String) {
    let mut list = lines(state, package, key);
    list.push(line);
    keep(state, package, key, list.join("\n"));
}

fn drop_line(state: &mut State, package: &str, key: &str, at: usize) {
    let mut list = lines(state, package, key);
    if at < list.len() {
        list.remove(at);
    }
    keep(state, package, key, list.join("\n"));
}

fn numbers(state: &State, key: &str) -> Vec<usize> {
    let list = kept(state, MUSIC, key)
        .split(',')
        .filter_map(|number| number.parse().ok());
    list.filter(|index| *index < SONGS.len()).collect()
}

fn playlists(state: &State) -> Vec<String> {
    let memory = state.packages.get(MUSIC).map(|package| package.memory.keys());
    let names = memory
        .into_iter()
        .flatten()
        .filter_map(|key| key.strip_prefix("playlist "));
    names.map(str::to_owned).collect()
}

fn mail(mail: &Mail) -> Row {
    vec![
        ("_id", text(mail.id)),
        ("who", Some(mail.who.clone())),
        ("address", Some(mail.address.clone())),
        ("subject", Some(mail.subject.clone())),
        ("body", Some(mail.body.clone())),
        ("read", text(u8::from(mail.read))),
        ("sent", text(u8::from(mail.sent))),
        ("starred", text(u8::from(mail.starred))),
        ("archived", text(u8::from(mail.archived))),
    ]
}

fn write_mail(state: &mut State, id: Option<u32>, value: Values) {
    let id = id.unwrap_or_else(|| {
        let id = state.fresh_id();
        let fresh = Mail {
            id,
            who: String::new(),
            address: String::new(),
            subject: String::new(),
            body: String::new(),
            date: state.now,
            read: false,
            sent: false,
            starred: false,
            archived: false,
        };
        state.mails.insert(0, fresh);
        id
    });
    let Some(mail) = state.mails.iter_mut().find(|mail| mail.id == id) else {
        return;
    };
    for (name, field) in [
        ("who", &mut mail.who),
        ("address", &mut mail.address),
        ("subject", &mut mail.subject),
        ("body", &mut mail.body),
    ] {
        if let Some(new) = value(name) {
            *field = new;
        }
    }
    for (name, field) in [
        ("read", &mut mail.read),
        ("sent", &mut mail.sent),
        ("starred", &mut mail.starred),
        ("archived", &mut mail.archived),
    ] {
        if let Some(new) = value(name) {
            *field = new != "0";
        }
    }
}
