//! Listings that a hub gives page by page.

use hub_client::ClientError;

/// Shows every item of every page, in the order in which the hub gives them. `page` asks for what
/// comes after a number, from the beginning with `None`.
pub(super) async fn show_each<T, P>(
    page: impl Fn(Option<u64>) -> P,
    mut show: impl FnMut(&T) -> anyhow::Result<()>,
) -> anyhow::Result<()>
where
    P: Future<Output = Result<(Vec<T>, Option<u64>), ClientError>>,
{
    let mut after = None;
    loop {
        let (items, next) = page(after).await?;
        items.iter().try_for_each(&mut show)?;
        match next {
            // A hub that repeats a page must not keep us here.
            Some(next) if after < Some(next) => after = Some(next),
            Some(_) | None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::show_each;

    #[tokio::test]
    async fn every_page_is_shown_once_even_when_a_hub_repeats_itself() {
        let (asked, mut shown) = (RefCell::new(Vec::new()), Vec::new());
        let page = |after| {
            asked.borrow_mut().push(after);
            let page = match after {
                None => (vec!["a", "b"], Some(2)),
                Some(2) => (vec!["c"], Some(3)),
                // Back to where it was.
                Some(_) => (vec!["d"], Some(2)),
            };
            std::future::ready(Ok(page))
        };
        let all = show_each(page, |item: &&str| {
            shown.push(*item);
            Ok(())
        });
        all.await.expect("shown");
        assert_eq!(shown, ["a", "b", "c", "d"]);
        assert_eq!(asked.into_inner(), [None, Some(2), Some(3)]);
    }

    #[tokio::test]
    async fn what_cannot_be_shown_ends_it() {
        let page = |_| std::future::ready(Ok((vec![1, 2], Some(9))));
        let mut count = 0;
        let ended = show_each(page, |_| {
            count += 1;
            anyhow::bail!("the pipe is closed")
        });
        assert!(ended.await.is_err());
        assert_eq!(count, 1);
    }
}
