//! A vault's lists, item by item and never without end: a vault says itself whether there is another page.

use std::pin::Pin;

use azure_core::error::ErrorKind;
use azure_core::http::pager::{ItemIterator, Page};
use azure_core::{Error, Result};
use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::registry::arm::MAX_PAGES;

/// Returns the items of a list. Where it has more pages than a list may have, the last item is an error.
pub(super) fn items<P>(list: ItemIterator<P>) -> Pin<Box<dyn Stream<Item = Result<P::Item>> + Send>>
where
    P: Page + Send + 'static,
    P::IntoIter: Send,
    P::Item: Send,
{
    let pages = list.into_pages().enumerate().map(|(before, page)| match page {
        Ok(_) if before == MAX_PAGES => Err(endless()),
        page => page,
    });
    let items = pages.and_then(Page::into_items).map_ok(|items| stream::iter(items.map(Ok)));
    Box::pin(items.try_flatten())
}

fn endless() -> Error {
    let reason = format!(
        "it has more than {MAX_PAGES} pages, so it was not read to its end; a certificate that has the same name in the vault \
         and in the registry is found without a list"
    );
    Error::with_message(ErrorKind::Other, reason)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azure_core::http::pager::{PagerContinuation, PagerResult};

    use super::*;

    /// A page of two items.
    struct Numbers;

    #[async_trait::async_trait]
    impl Page for Numbers {
        type Item = u32;
        type IntoIter = std::array::IntoIter<u32, 2>;

        async fn into_items(self) -> Result<Self::IntoIter> {
            Ok([7, 8].into_iter())
        }
    }

    /// Returns a list of so many pages, and how often it was asked.
    fn list(pages: usize) -> (ItemIterator<Numbers>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let list = ItemIterator::new(
            move |_, _| {
                let nth = count.fetch_add(1, Ordering::Relaxed) + 1;
                Box::pin(async move {
                    Ok(if nth < pages {
                        let continuation = PagerContinuation::Token("more".to_owned());
                        PagerResult::More { response: Numbers, continuation }
                    } else {
                        PagerResult::Done { response: Numbers }
                    })
                })
            },
            None,
        );
        (list, asked)
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_end_and_one_without_an_end_is_not() {
        for (pages, expected) in [(1, Some(2)), (2, Some(4)), (MAX_PAGES, Some(2 * MAX_PAGES))] {
            let (list, asked) = list(pages);
            let read = items(list).try_fold(0, |count, _| async move { Ok(count + 1) }).await;
            assert_eq!((read.ok(), asked.load(Ordering::Relaxed)), (expected, pages));
        }
        for pages in [MAX_PAGES + 1, usize::MAX] {
            let (list, asked) = list(pages);
            let read: Result<Vec<u32>> = items(list).try_collect().await;
            let error = read.expect_err("it has no end").to_string();
            assert!(error.contains("more than 100 pages"), "{error}");
            assert_eq!(asked.load(Ordering::Relaxed), MAX_PAGES + 1);
        }
    }
}
