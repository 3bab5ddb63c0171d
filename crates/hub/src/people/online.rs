//! Who is online, at this front-end or another.

use std::collections::HashMap;

use hub_db::{DbError, PersonId};

use crate::app::App;

/// Those of these people who are online, and since when.
pub(crate) async fn online(
    app: &App,
    people: impl IntoIterator<Item = PersonId>,
) -> Result<HashMap<PersonId, u64>, DbError> {
    let mut people: Vec<PersonId> = people.into_iter().collect();
    people.sort_unstable();
    people.dedup();
    let here = people.iter().filter_map(|person| {
        app.people.presence.online_since(*person).map(|since| (*person, since))
    });
    let mut online: HashMap<PersonId, u64> = here.collect();
    // Who is here need not be asked for, and nobody is elsewhere where there are no others.
    people.retain(|person| !online.contains_key(person));
    if app.cluster.has_others() && !people.is_empty() {
        online.extend(app.db.online(&people).await?);
    }
    Ok(online)
}
