//! One bad source beside a good one, and alone: the transfer completes and names the culprit,
//! or fails and says why.

use std::sync::Arc;

use fetch::{FetchConfig, FetchError, FetchReport, Fetcher, Source, Want};
use testkit::{Honest, Hostile, Library, Manner, Watching};
use tokio::sync::mpsc;

const MIB: u64 = 1 << 20;

fn library() -> Arc<Library> {
    Arc::new(Library::new(1, 160, 64 << 10))
}

fn feed(wants: Vec<Want>) -> mpsc::Receiver<Want> {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        for want in wants {
            if sender.send(want).await.is_err() {
                return;
            }
        }
    });
    receiver
}

async fn fetch(
    library: &Library,
    sources: Vec<Arc<dyn Source>>,
) -> (Result<FetchReport, FetchError>, Arc<Watching>) {
    let destination = Arc::new(Watching::default());
    let fetcher = Fetcher::new(sources, FetchConfig::default());
    let target = Arc::clone(&destination);
    let result = fetcher.fetch(feed(library.wants()), target, Arc::default()).await;
    (result, destination)
}

/// Beside a good source of an everyday rate.
async fn overcomes(manner: Manner, reason: &str) {
    let library = library();
    let good = Arc::new(Honest::new("good", &library).with_rate(20 * MIB));
    let bad = Arc::new(Hostile::new(manner, &library));
    let (result, destination) = fetch(&library, vec![bad, good]).await;
    let report = result.expect("the good source has everything");
    assert!(destination.holds(&library), "{report:?}");
    let culprit = report.culprits.iter().find(|culprit| culprit.reason.contains(reason));
    let culprit = culprit.unwrap_or_else(|| panic!("no culprit for {reason:?} in {report:?}"));
    assert_eq!(culprit.source, format!("{manner:?}"));
    assert!(report.culprits.iter().all(|culprit| culprit.source != "good"), "{report:?}");
}

async fn fails_alone(manner: Manner, reason: &str) {
    let library = library();
    let bad = Arc::new(Hostile::new(manner, &library));
    let (result, destination) = fetch(&library, vec![bad]).await;
    let error = result.expect_err("there is no good source");
    let FetchError::Unavailable { reasons, .. } = &error else { panic!("{error:?}") };
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].source, format!("{manner:?}"));
    assert!(reasons[0].reason.contains(reason), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
    assert_eq!(destination.finished(), 1, "what came before is made durable");
}

macro_rules! bad_source {
    ($name:ident, $manner:ident, $beside:literal, $alone:literal) => {
        mod $name {
            use super::*;

            #[tokio::test(start_paused = true)]
            async fn is_overcome_and_named() {
                overcomes(Manner::$manner, $beside).await;
            }

            #[tokio::test(start_paused = true)]
            async fn fails_alone_with_the_reason() {
                fails_alone(Manner::$manner, $alone).await;
            }
        }
    };
}

bad_source!(silent, Silent, "sent nothing for", "sent nothing for 3");
bad_source!(one_byte_a_second, OneByteASecond, "sent nothing for", "sent nothing for 3");
bad_source!(wrong_bytes, WrongBytes, "sent wrong bytes", "have another hash");
bad_source!(wrong_length, WrongLength, "sent wrong bytes", "have another hash");
bad_source!(closes_half_way, ClosesHalfWay, "broke off", "broke off");
bad_source!(lies_about_what_it_has, LiesAboutWhatItHas, "it promised", "does not have it");
bad_source!(floods_for_ever, FloodsForEver, "not asked for", "not asked for");
bad_source!(repeats_for_ever, RepeatsForEver, "not asked for", "not asked for");
bad_source!(swaps_answers, SwapsAnswers, "sent wrong bytes", "have another hash");
bad_source!(refuses, Refuses, "refuses: no access", "refuses: no access");
bad_source!(panics, Panics, "broke down", "broke down");

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_held_open_is_cut_and_named() {
    overcomes(Manner::HoldsOpen, "did not end its answer").await;
    let library = library();
    let bad = Arc::new(Hostile::new(Manner::HoldsOpen, &library));
    let (result, destination) = fetch(&library, vec![bad]).await;
    let report = result.expect("it sent everything it was asked for");
    assert!(destination.holds(&library));
    assert_eq!(report.culprits[0].reason, "did not end its answer");
}

#[tokio::test(start_paused = true)]
async fn answers_to_another_request_are_waste_and_lacking() {
    let library = library();
    let bad = Arc::new(Hostile::new(Manner::AnswersAnotherRequest, &library));
    let (result, _) = fetch(&library, vec![Arc::clone(&bad) as Arc<dyn Source>]).await;
    let error = result.expect_err("nothing that was asked for came");
    assert!(error.to_string().contains("AnswersAnotherRequest"), "{error}");

    let good = Arc::new(Honest::new("good", &library).with_rate(20 * MIB));
    let (result, destination) = fetch(&library, vec![bad, good]).await;
    let report = result.expect("the good source has everything");
    assert!(destination.holds(&library));
    assert!(report.wasted_bytes > 0);
    assert!(report.sources[0].lacked > 0 || !report.culprits.is_empty(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn all_bad_sources_together_do_not_stop_a_good_one() {
    let library = library();
    let manners = [
        Manner::Silent,
        Manner::OneByteASecond,
        Manner::WrongBytes,
        Manner::WrongLength,
        Manner::ClosesHalfWay,
        Manner::LiesAboutWhatItHas,
        Manner::FloodsForEver,
        Manner::RepeatsForEver,
        Manner::HoldsOpen,
        Manner::SwapsAnswers,
        Manner::AnswersAnotherRequest,
        Manner::Refuses,
        Manner::Panics,
    ];
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for manner in manners {
        sources.push(Arc::new(Hostile::new(manner, &library)));
    }
    sources.push(Arc::new(Honest::new("good", &library).with_rate(20 * MIB)));
    let (result, destination) = fetch(&library, sources).await;
    let report = result.expect("one source is good");
    assert!(destination.holds(&library), "{report:?}");
    assert!(report.culprits.iter().all(|culprit| culprit.source != "good"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_lied_is_not_asked_by_later_fetches() {
    let library = library();
    let bad = Arc::new(Hostile::new(Manner::WrongBytes, &library));
    let fetcher = Fetcher::new(vec![bad], FetchConfig::default());
    let first = fetcher.fetch_all(library.wants()).await.expect_err("wrong bytes");
    let second = fetcher.fetch_all(library.wants()).await.expect_err("still dropped");
    let (
        FetchError::Unavailable { reasons: one, .. },
        FetchError::Unavailable { reasons: two, .. },
    ) = (first, second)
    else {
        panic!("both are unavailable")
    };
    assert_eq!(one, two);
}

#[tokio::test(start_paused = true)]
async fn without_a_source_there_is_nothing_to_wait_for() {
    let (result, _) = fetch(&library(), Vec::new()).await;
    assert!(matches!(result, Err(FetchError::NoSources)));
}
