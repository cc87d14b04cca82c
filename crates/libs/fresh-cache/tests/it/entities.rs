//! Pages that depend on several entities of one source, named by whatever can be hashed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use fresh_cache::{
    Announcement, CacheOptions, Claim, Consistency, EventFragment, FeedOptions, FeedWriter, Fetched,
    Fragment, FragmentState, FreshCache, Loader, Moment, Outcome, SourceId, Strategy, Token, Version, feed,
};

const ACCOUNTS: SourceId = SourceId(0);

/// A deal between two accounts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Deal<E> {
    buyer: E,
    seller: E,
}

/// Pages of deals, and the source of their accounts: the revision of each.
struct Deals<E>(Arc<Mutex<Accounts<E>>>);

#[derive(Default)]
struct Accounts<E> {
    revisions: HashMap<E, u64>,
    requests: Vec<E>,
    /// Whether the loader names the two of a deal the other way round, which it must not once it has not.
    swapped: bool,
}

/// What names an account in these tests.
trait Name: Hash + Eq + Clone + Debug + Send + Sync + 'static {}

impl<E: Hash + Eq + Clone + Debug + Send + Sync + 'static> Name for E {}

/// A name like any other, but for its hash, which is the same for all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Colliding(&'static str);

impl Hash for Colliding {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

const fn version(revision: u64) -> Version {
    Version {
        incarnation: 1,
        revision,
        nonce: 0,
    }
}

impl<E: Name> Loader for Deals<E> {
    type Key = Deal<E>;
    type Entity = E;
    type Body = String;
    type Page = Vec<String>;
    type Error = Infallible;

    fn dependencies(&self, deal: &Deal<E>) -> Vec<(SourceId, E)> {
        let mut accounts = [&deal.buyer, &deal.seller];
        if self.0.lock().unwrap().swapped {
            accounts.reverse();
        }
        accounts.map(|account| (ACCOUNTS, account.clone())).into()
    }

    async fn fetch(
        &self,
        _: &Deal<E>,
        _: SourceId,
        account: &E,
        known: Option<&Fragment<String>>,
    ) -> Result<Fetched<String>, Infallible> {
        let mut accounts = self.0.lock().unwrap();
        accounts.requests.push(account.clone());
        let version = version(accounts.revisions.get(account).copied().unwrap_or(1));
        let claim = Some(Claim::default());
        if known.is_some_and(|known| known.version == version) {
            return Ok(Fetched::NotModified {
                claim,
                valid_for: None,
            });
        }
        Ok(Fetched::New {
            version,
            claim,
            body: format!("{account:?} {}", version.revision),
            valid_for: None,
        })
    }

    fn compose(&self, _: &Deal<E>, fragments: &[FragmentState<String>]) -> Vec<String> {
        let bodies = fragments.iter().filter_map(FragmentState::fragment);
        bodies.map(|fragment| fragment.body.clone()).collect()
    }

    fn weight(&self, _: &Vec<String>) -> u32 {
        1
    }

    fn pages_of(&self, _: SourceId, account: &E) -> Vec<Deal<E>> {
        let pages = self
            .0
            .lock()
            .unwrap()
            .revisions
            .keys()
            .cloned()
            .collect::<Vec<_>>();
        let bought = pages.iter().map(|other| Deal {
            buyer: account.clone(),
            seller: other.clone(),
        });
        bought.collect()
    }

    fn read_event(&self, _: &Deal<E>, _: SourceId, account: &E, event: &EventFragment) -> Option<String> {
        Some(format!("{account:?} {} by an event", event.version.revision))
    }
}

/// A cache of the deals of three accounts, and everything around it.
struct Market<E: Name> {
    cache: FreshCache<Deals<E>>,
    writer: FeedWriter<E>,
    accounts: Arc<Mutex<Accounts<E>>>,
    deal: Deal<E>,
}

impl<E: Name> Market<E> {
    fn new([buyer, seller, other]: [E; 3], strategy: Strategy) -> Self {
        let (feed, mut writer) = feed::channel(1, FeedOptions::default());
        writer.lost_all();
        let revisions = [&buyer, &seller, &other].map(|account| (account.clone(), 1));
        let accounts = Arc::new(Mutex::new(Accounts {
            revisions: revisions.into(),
            requests: Vec::new(),
            swapped: false,
        }));
        let options = CacheOptions {
            strategy,
            ..CacheOptions::default()
        };
        Self {
            cache: FreshCache::new(Deals(Arc::clone(&accounts)), feed, options),
            writer,
            accounts,
            deal: Deal { buyer, seller },
        }
    }

    fn change(&self, account: &E) {
        *self.accounts.lock().unwrap().revisions.get_mut(account).unwrap() += 1;
    }

    fn take_requests(&self) -> Vec<E> {
        std::mem::take(&mut self.accounts.lock().unwrap().requests)
    }

    async fn read(&self) -> Vec<String> {
        let answer = self.cache.read(&self.deal, Consistency::MinimizeLatency).await;
        answer.page.content().clone()
    }
}

fn of_text() -> Market<String> {
    Market::new(["ada", "bob", "eve"].map(str::to_owned), Strategy::Invalidate)
}

fn carried(revision: u64) -> EventFragment {
    EventFragment {
        version: version(revision),
        claim: Some(Claim::default()),
        data: "".into(),
        committed: Moment::default(),
    }
}

#[tokio::test]
async fn a_page_of_two_accounts_shows_each_in_its_place() {
    let market = of_text();
    assert_eq!(market.read().await, ["\"ada\" 1", "\"bob\" 1"]);
    assert_eq!(market.take_requests(), ["ada", "bob"]);
}

#[tokio::test]
async fn an_event_of_one_of_them_has_that_one_fetched_again() {
    let mut market = of_text();
    market.read().await;
    market.take_requests();
    for (name, page) in [
        ("bob", ["\"ada\" 1", "\"bob\" 2"]),
        ("ada", ["\"ada\" 2", "\"bob\" 2"]),
    ] {
        market.change(&name.to_owned());
        market.writer.changed(ACCOUNTS, name); // borrowed, as for a lookup
        assert_eq!(market.read().await, page);
        assert_eq!(market.take_requests(), [name]);
    }
}

#[tokio::test]
async fn a_token_speaks_of_the_one_that_it_names() {
    let market = of_text();
    market.read().await;
    market.take_requests();
    market.change(&"bob".to_owned());
    let tokens = [
        Token::of(ACCOUNTS, "bob".to_owned(), version(2)),
        Token::of(ACCOUNTS, "ada".to_owned(), version(1)),
        Token::of(ACCOUNTS, "eve".to_owned(), version(9)), // not of this page
    ];
    let answer = market
        .cache
        .read(&market.deal, Consistency::AtLeastAsFresh(&tokens))
        .await;
    assert_eq!(answer.page.content(), &["\"ada\" 1", "\"bob\" 2"]);
    assert!(answer.behind.is_empty());
    assert_eq!(market.take_requests(), ["bob"]);
    let tokens = [Token::of(ACCOUNTS, "bob".to_owned(), version(3))];
    let answer = market
        .cache
        .read(&market.deal, Consistency::AtLeastAsFresh(&tokens))
        .await;
    assert_eq!(answer.behind, [(ACCOUNTS, "bob".to_owned())]);
}

#[tokio::test]
async fn what_is_remembered_of_one_is_not_shown_of_the_other() {
    let market = of_text();
    market.cache.remember(ACCOUNTS, "bob".to_owned(), carried(1));
    market.read().await;
    let stats = market.cache.stats();
    assert_eq!((stats.fetches.get(), stats.not_modified.get()), (2, 1));
    assert_eq!(market.read().await, ["\"ada\" 1", "\"bob\" 1 by an event"]);
}

#[tokio::test]
async fn what_an_event_carries_of_one_is_not_shown_of_the_other() {
    let names = ["ada", "bob", "eve"].map(str::to_owned);
    let mut market = Market::new(names, Strategy::Prepopulate);
    let refreshing = market.cache.clone();
    tokio::spawn(async move { refreshing.refresh().await });
    market.read().await;
    market.take_requests();
    market.change(&"ada".to_owned());
    let position = market.writer.changed(ACCOUNTS, "ada");
    market.cache.announce(Announcement {
        source: ACCOUNTS,
        entity: "ada".to_owned(),
        position,
        fragment: Some(carried(2)),
    });
    while market.cache.stats().refreshes.get() == 0 || market.cache.loads_in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(market.read().await, ["\"ada\" 2 by an event", "\"bob\" 1"]);
    assert!(market.take_requests().is_empty());
}

/// A stranger's event makes the page stale, for one request per fragment, and shows nothing of the stranger.
#[tokio::test]
async fn names_whose_hashes_collide_cost_requests_and_are_never_confused() {
    let [ada, bob, eve] = [Colliding("ada"), Colliding("bob"), Colliding("eve")];
    let mut market = Market::new([ada.clone(), bob.clone(), eve.clone()], Strategy::Invalidate);
    market.cache.remember(ACCOUNTS, eve.clone(), carried(7));
    let page = market.read().await;
    assert_eq!(page, ["Colliding(\"ada\") 1", "Colliding(\"bob\") 1"]);
    market.take_requests();

    market.writer.changed(ACCOUNTS, &eve);
    assert_eq!(market.read().await, page);
    assert_eq!(market.take_requests(), [ada, bob.clone()], "both are asked about");
    let again = market
        .cache
        .read(&market.deal, Consistency::MinimizeLatency)
        .await;
    assert_eq!(again.outcome, Outcome::Hit, "once");

    market.change(&bob);
    market.writer.changed(ACCOUNTS, &bob);
    assert_eq!(
        market.read().await[1],
        "Colliding(\"bob\") 2",
        "and its own event is heeded"
    );
}

#[tokio::test]
async fn a_loader_that_names_them_in_another_order_gets_none_shown_for_the_other() {
    let mut market = of_text();
    market.read().await;
    market.take_requests();
    market.accounts.lock().unwrap().swapped = true;
    market.writer.changed(ACCOUNTS, "ada");
    assert_eq!(market.read().await, ["\"bob\" 1", "\"ada\" 1"]);
    assert_eq!(market.take_requests(), ["bob", "ada"]);
}
