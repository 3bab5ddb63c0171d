//! People: registration, logins, devices.

use super::{BEFORE, DONE, Operation, Parameter, Who, delete, get, post, put, query, unsigned};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

const SIZE: &[Parameter] = &[
    query("bytes", "Bytes of all files together.", unsigned),
    query("largest", "Bytes of the largest of them.", unsigned),
];

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        request: Content::Json("PersonRequest"),
        answers: &[(201, Content::Json("MyPerson"), "There is a new person.")],
        problems: &[P::HandleTaken, P::DocumentRefused],
        note: "Of the calling account, which becomes their first device.",
        ..post(routes::PEOPLE, "createPerson", "Registers a handle", Who::Account)
    },
    Operation {
        answers: &[(200, Content::Json("PersonCard"), "What people see of them.")],
        problems: &[P::PersonRequired, P::TooManyRequests],
        note: "For people. Whoever asks for too many handles that nobody has is refused for a while.",
        ..get(routes::PERSON, "readPerson", "A person", Who::Account)
    },
    Operation {
        request: Content::Json("LoginRequest"),
        answers: &[(200, Content::Json("SessionResponse"), "A token bound to the device's key.")],
        problems: &[P::ProofRefused, P::LoginRefused],
        note: "The device stands on no list until another one signs it in. Unknown handles and wrong \
               passwords are answered alike; after some of them `Retry-After` says how long that network \
               is refused.",
        ..post(routes::LOGINS, "logIn", "Logs a device in by handle and password", Who::Anybody)
    },
    Operation {
        request: Content::Json("RecoveryRequest"),
        answers: &[(202, Content::Empty, "It is on its way, if that person has told an address.")],
        problems: &[P::NotFound, P::TooManyRequests],
        note: "Not found where the hub sends no mail. Otherwise the answer does not tell whether there is \
               such a person.",
        ..post(routes::RECOVERIES, "askRecovery", "Has a code sent by mail", Who::Anybody)
    },
    Operation {
        request: Content::Json("Recovery"),
        answers: DONE,
        problems: &[P::LoginRefused],
        note: "A wrong code counts as a failed login. Devices on no list are logged out.",
        ..put(routes::RECOVERIES, "recover", "Sets a password with a code", Who::Anybody)
    },
    Operation {
        answers: &[(200, Content::Json("MyPerson"), "The calling person.")],
        problems: &[P::PersonRequired],
        note: "A device on no list sees no details, and of the devices on no list itself alone.",
        ..get(routes::ME, "readMe", "The calling person", Who::Account)
    },
    Operation {
        request: Content::Json("DetailsChange"),
        answers: DONE,
        problems: &[P::PersonRequired, P::LoginRefused],
        note: "Another e-mail address takes the password.",
        ..put(routes::ME, "putMe", "Changes what the caller tells of themselves", Who::Account)
    },
    Operation {
        request: Content::Json("PasswordChange"),
        answers: DONE,
        problems: &[P::PersonRequired, P::LoginRefused],
        note: "Devices on no list are logged out.",
        ..put(routes::MY_PASSWORD, "putPassword", "Changes the password", Who::Account)
    },
    Operation {
        request: Content::Json("DevicesDocument"),
        answers: DONE,
        problems: &[P::PersonRequired, P::PersonConflict, P::DocumentRefused],
        note: "By a device on the list before; where there is none, by any device, which is the one on it. \
               The accounts of those it leaves out are revoked.",
        ..put(
            routes::MY_DEVICES,
            "putDevices",
            "The next list of the caller's devices",
            Who::Account,
        )
    },
    Operation {
        problems: &[P::PersonRequired],
        note: "By itself, or by a device on the list.",
        ..delete(routes::MY_DEVICE, "deleteDevice", "Logs out a device on no list", Who::Account)
    },
    Operation {
        query: SIZE,
        answers: &[(200, Content::Json("RecipientCheck"), "In one word.")],
        problems: &[P::PersonRequired, P::TooManyRequests],
        note: "For people. Who is not let in does not learn whether the other one is online.",
        ..get(
            routes::PERSON_CHECK,
            "checkPerson",
            "Whether somebody can be sent something",
            Who::Account,
        )
    },
    Operation {
        answers: &[(200, Content::Json("BookDocument"), "The address book.")],
        problems: &[P::PersonRequired],
        ..get(routes::MY_BOOK, "readBook", "The caller's address book", Who::Account)
    },
    Operation {
        request: Content::Json("BookDocument"),
        answers: &[(200, Content::Json("BookKept"), "It is kept.")],
        problems: &[P::PersonRequired, P::PersonConflict, P::TooManyRequests],
        note: "Its number is one more than that of the one before. Pending senders who are contacts now are \
               let in.",
        ..put(routes::MY_BOOK, "putBook", "The next address book", Who::Account)
    },
    Operation {
        request: Content::Json("DeviceRoom"),
        answers: DONE,
        problems: &[P::PersonRequired],
        ..put(routes::MY_ROOM, "putRoom", "What the calling device has room for", Who::Account)
    },
    Operation {
        answers: &[(
            200,
            Content::Events,
            "Events named `person`; the data of each is a `PersonEvent`.",
        )],
        problems: &[P::PersonRequired],
        note: "The person is online while a device on their list listens. The first event names everything; \
               a device that listens elsewhere ends the stream it had.",
        ..get(routes::MY_EVENTS, "personEvents", "What is new for the caller", Who::Account)
    },
    Operation {
        query: BEFORE,
        answers: &[(200, Content::Json("DeliveriesPage"), "Deliveries, the newest first.")],
        problems: &[P::PersonRequired],
        ..get(routes::INBOX, "listInbox", "What is addressed to the caller", Who::Account)
    },
    Operation {
        query: BEFORE,
        answers: &[(200, Content::Json("DeliveriesPage"), "Deliveries, the newest first.")],
        problems: &[P::PersonRequired],
        ..get(routes::OUTBOX, "listOutbox", "What the caller addressed", Who::Account)
    },
    Operation {
        answers: &[(200, Content::Json("PendingSenders"), "Those who wait for a decision.")],
        problems: &[P::PersonRequired],
        ..get(routes::SENDERS, "listSenders", "Who wants to send and is no contact", Who::Account)
    },
    Operation {
        request: Content::Json("SenderVerdict"),
        answers: DONE,
        problems: &[P::PersonRequired],
        ..put(routes::SENDER, "putSender", "Decides about a pending sender", Who::Account)
    },
];
