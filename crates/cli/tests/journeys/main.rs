//! Journeys through the real binary: hubs and nodes as processes on loopback, one module per noun.
//!
//! What all of them need stands in `process` (the program with nothing of the machine's own
//! configuration), `world` (a hub and its nodes), `site` (releases of one name, and nodes that
//! follow it), `gate` (a link to the hub that can be cut), `needles` (what nobody
//! on the way is to have), `documented` (lines compared with their document),
//! `terminal`, `files` and `users`. It is one program, for linking it takes longer than compiling it.

mod administration;
mod again;
mod apart;
mod attacks;
mod audit;
mod behind_proxy;
mod browser;
mod cache;
mod code;
mod community;
mod community_console;
mod console;
mod cores;
mod databases;
mod delivery;
mod demo;
mod direct;
mod doctor;
mod documented;
mod documents;
mod ended;
mod ended_deliveries;
mod files;
mod follow;
mod front_ends;
mod gate;
mod guest;
mod guest_page;
mod hook;
mod hops;
mod interruption;
mod joining;
mod json;
mod killed_target;
mod link;
mod locker;
mod managers;
mod needles;
mod node;
mod operation;
mod package;
mod parts_played;
mod people;
mod person_page;
mod process;
mod proxy;
mod publish;
mod recovery;
mod relay;
mod release;
mod restored;
mod rollout;
mod sent;
mod silence;
mod site;
mod sources;
mod staged;
mod stalls;
mod terminal;
mod together;
mod traces;
mod transfers;
mod two_people;
mod users;
mod watch;
mod world;
