//! `POST /v1/people`: makes a person of the calling account.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::{MyPerson, PersonRequest, ProblemCode};
use hub_db::{NewPerson, PersonMade};

use super::read_me::me;
use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::Member;
use crate::files::unix_now;
use crate::people::{Handle, check_details, check_password, follow, keys_of};
use crate::refusal::Refusal;

/// Its key is the one device on the list that comes along.
pub(crate) async fn create_person(
    State(app): State<Arc<App>>,
    Member(account): Member,
    Json(request): Json<PersonRequest>,
) -> Result<(StatusCode, axum::Json<MyPerson>), Refusal> {
    let handle: Handle =
        request.handle.parse::<Handle>().map_err(|error| Refusal::malformed(format!("{error}")))?;
    let password = request.password.0;
    check_password(&password)?;
    let details = check_details(request.details)?;
    let followed = follow(&handle, Vec::new(), &request.devices.0)?;
    if keys_of(&followed.known) != [account.key] {
        return Err(Refusal::new(ProblemCode::DocumentRefused, "its device is not the caller"));
    }
    let password = app.people.passwords.hash(password).await?;
    let new = NewPerson {
        handle: handle.to_string(),
        password,
        details,
        account: account.id,
        list: request.devices.0,
        now: unix_now(),
    };
    let act = Act::new(&app, &account, "create-person", &handle);
    let db = Arc::clone(&app.db);
    let done = async move {
        match db.create_person(&new).await? {
            PersonMade::Now(_) => Ok(Outcome::Changed(())),
            PersonMade::HandleTaken => Err(Refusal::new(ProblemCode::HandleTaken, "")),
            PersonMade::IsDevice => {
                Err(Refusal::new(ProblemCode::Forbidden, "the account is a person's device"))
            }
            PersonMade::NoAccount => Err(Refusal::new(ProblemCode::NotRegistered, "")),
        }
    };
    act.run(done).await?;
    let me = me(&app, handle.as_str(), &account, true).await?;
    Ok((StatusCode::CREATED, axum::Json(me)))
}
