// The ranks of a job: a thread that owns the transport, hands its messages to whom they concern, and balances the work.
#include <ferry/mpi.hpp>

#include "mpi/balancer.hpp"
#include "mpi/link_table.hpp"
#include "mpi/messages.hpp"
#include "mpi/start_checks.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

namespace ferry {

using namespace mpi;  // NOLINT(google-build-using-namespace): this file is the room's

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long the thread sleeps when no message comes: longer each time. A rank that only computes is asked at most so
// late.
constexpr microseconds shortest_sleep{20};
constexpr microseconds longest_sleep{1000};
constexpr milliseconds progress_interval{200};

// Of events and errors, which a slow terminal may hold up.
constexpr std::size_t most_bytes_under_way = std::size_t{8} << 20U;

void add(TreeProgress& sum, const TreeProgress& part) {
  sum.bytes_done += part.bytes_done;
  sum.entries_done += part.entries_done;
  sum.bytes_found += part.bytes_found;
  sum.entries_found += part.entries_found;
}

}  // namespace

class Ranks::Impl final : public TreePartners {
 public:
  std::expected<void, std::string> connect(const Connect& connect);
  ~Impl() override;

  std::expected<void, std::string> check_first(const RankFacts& facts,
                                               const std::optional<std::vector<TreeOperand>>& operands);
  std::expected<void, std::string> check_other(const RankFacts& facts);

  // TreePartners.
  void attach(PieceWorker* worker) override;
  void load_changed() override { wake(); }
  void done(std::uint64_t receipt, std::optional<RangeResult> result) override;
  void claim_link(InodeIdentity inode, std::uint32_t links, std::uint64_t claim) override;
  void link_made(InodeIdentity inode, Place copy, std::string name) override;
  void link_failed(InodeIdentity inode) override;

  void post(int to, const Message& message);
  void post_to_others(const Message& message);
  void post_within_bounds(const Message& message);

  int rank = 0;
  int size = 1;
  Handlers handlers;  // set before work begins
  std::stop_source stop;
  std::optional<std::stop_callback<std::function<void()>>> stop_callback;

  void tell_progress(std::function<TreeProgress()> own);
  [[nodiscard]] TreeProgress progress_of_others() const;
  [[nodiscard]] Report wait_for_reports();

 private:
  struct Posted {
    int to;
    std::string bytes;
  };
  struct Setup {
    int from;
    Message message;
  };

  void run(const Connect& connect, std::promise<std::string>& connected);
  void loop();
  bool send_posted();
  void wake();
  void handle(int from, Message&& message);
  void handle_setup(int from, Message&& message);
  void send_replies(std::vector<LinkTable::Reply>&& replies);
  void balance();
  void tell_progress_now();
  Setup wait_for_setup();
  InodeIdentity common(InodeIdentity inode) const;

  std::thread thread_;
  std::unique_ptr<Transport> transport_;  // the thread's own, like the rest up to `mutex_`
  std::optional<Balancer> balancer_;
  LinkTable link_table_;
  bool is_wanted_ = false;
  std::uint64_t last_receipt_ = 0;
  steady_clock::time_point progress_told_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;     // the thread's
  std::condition_variable arrived_;  // who waits for something to arrive or to leave
  bool signalled_ = false;
  bool closing_ = false;
  std::deque<Posted> posted_;
  std::size_t bytes_under_way_ = 0;
  std::deque<Setup> setup_;
  std::unordered_map<std::uint64_t, std::pair<int, std::uint64_t>> receipts_;  // whose pieces these are
  std::vector<TreeProgress> progress_;
  std::function<TreeProgress()> own_progress_;
  Report reports_;
  int reports_arrived_ = 0;

  std::mutex worker_mutex_;
  PieceWorker* worker_ = nullptr;
  bool work_has_ended_ = false;

  // Which device numbers of this machine are which of rank 0's; set by the checks.
  bool several_machines_ = false;
  std::unordered_map<std::uint64_t, std::uint64_t> common_devices_;
};

// ------------------------------------------------------------------------------------------------- the thread

std::expected<void, std::string> Ranks::Impl::connect(const Connect& connect) {
  auto connected = std::make_shared<std::promise<std::string>>();  // shared: it may still be at its setting
  std::future<std::string> trouble = connected->get_future();
  thread_ = std::thread([this, connect, connected] { run(connect, *connected); });
  if (std::string text = trouble.get(); !text.empty()) {
    return std::unexpected(std::move(text));
  }
  return {};
}

Ranks::Impl::~Impl() {
  stop_callback.reset();
  if (thread_.joinable()) {
    {
      const std::scoped_lock lock(mutex_);
      closing_ = true;
    }
    wake();
    thread_.join();
  }
}

void Ranks::Impl::run(const Connect& connect, std::promise<std::string>& connected) {
  auto made = connect();
  if (!made) {
    connected.set_value(made.error().empty() ? "cannot connect" : made.error());
    return;
  }
  transport_ = std::move(*made);
  rank = transport_->rank();
  size = transport_->size();
  balancer_.emplace(rank, size, static_cast<std::uint64_t>(rank));
  progress_.resize(static_cast<std::size_t>(size));
  connected.set_value({});
  loop();
  transport_.reset();
}

void Ranks::Impl::loop() {
  microseconds sleep = shortest_sleep;
  for (;;) {
    bool is_busy = false;
    while (std::optional<Transport::Received> received = transport_->try_receive()) {
      is_busy = true;
      std::optional<Message> message = decode(received->message);
      if (!message) {
        transport_->abort(1);  // not from a ferry of this version, which the checks would have found
      }
      handle(received->from, std::move(*message));
    }
    balance();
    is_busy = send_posted() || is_busy;
    tell_progress_now();
    sleep = is_busy ? shortest_sleep : std::min(2 * sleep, longest_sleep);
    std::unique_lock lock(mutex_);
    if (closing_ && posted_.empty() && bytes_under_way_ == 0) {
      return;
    }
    wake_.wait_for(lock, sleep, [&] { return signalled_; });
    signalled_ = false;
  }
}

void Ranks::Impl::wake() {
  {
    const std::scoped_lock lock(mutex_);
    signalled_ = true;
  }
  wake_.notify_one();
}

bool Ranks::Impl::send_posted() {
  std::deque<Posted> posted;
  {
    const std::scoped_lock lock(mutex_);
    posted.swap(posted_);
  }
  for (Posted& each : posted) {
    if (each.to == rank) {
      if (std::optional<Message> message = decode(each.bytes)) {
        handle(rank, std::move(*message));
      }
    } else {
      transport_->send(each.to, std::move(each.bytes));
    }
  }
  const std::size_t unsent = transport_->unsent_bytes();
  {
    const std::scoped_lock lock(mutex_);
    bytes_under_way_ = unsent;
    for (const Posted& each : posted_) {
      bytes_under_way_ += each.bytes.size();
    }
  }
  arrived_.notify_all();
  return !posted.empty();
}

void Ranks::Impl::post(int to, const Message& message) {
  std::string bytes = encode(message);
  {
    const std::scoped_lock lock(mutex_);
    bytes_under_way_ += bytes.size();
    posted_.push_back({to, std::move(bytes)});
    signalled_ = true;
  }
  wake_.notify_one();
}

void Ranks::Impl::post_to_others(const Message& message) {
  for (int to = 0; to < size; ++to) {
    if (to != rank) {
      post(to, message);
    }
  }
}

void Ranks::Impl::post_within_bounds(const Message& message) {
  {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return bytes_under_way_ < most_bytes_under_way; });
  }
  post(0, message);
}

// ------------------------------------------------------------------------------------------------- messages

// Messages of the checks at the start, which are waited for.
template <typename T>
concept Setting = std::is_same_v<T, Hello> || std::is_same_v<T, Refusal> || std::is_same_v<T, Operands> ||
                  std::is_same_v<T, Verdict> || std::is_same_v<T, Go>;

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

void Ranks::Impl::handle(int from, Message&& message) {
  const std::unique_lock worker_lock(worker_mutex_);
  std::visit(
      Overloaded{
          [&](const Ask& ask) { balancer_->asked(from, ask.waits); },
          [&](const Refuse&) { balancer_->refused(from); },
          [&](Work& work) {
            balancer_->received(from);
            for (Piece& piece : work.pieces) {
              const std::uint64_t receipt = ++last_receipt_;
              {
                const std::scoped_lock lock(mutex_);
                receipts_.emplace(receipt, std::pair(from, piece.id));
              }
              if (worker_ != nullptr) {
                worker_->take(std::move(piece), receipt);
              }
            }
          },
          [&](Done& done) {
            if (worker_ != nullptr) {
              worker_->returned(done.piece, std::move(done.result));
            }
          },
          [&](const Claim& claim) { send_replies(link_table_.claim(claim.inode, claim.links, from, claim.claim)); },
          [&](const LinkMade& made) { send_replies(link_table_.made(made.inode, made.copy, made.name)); },
          [&](const LinkFailed& failed) { send_replies(link_table_.failed(failed.inode)); },
          [&](ClaimReply& reply) {
            if (worker_ != nullptr) {
              worker_->answered(reply.claim, reply.answer, std::move(reply.copy), std::move(reply.name));
            }
          },
          [&](const Event& event) {
            if (handlers.on_event) {
              handlers.on_event(
                  {event.kind, event.source, event.destination, event.backup, event.report ? &*event.report : nullptr});
            }
          },
          [&](const Problem& problem) {
            if (handlers.on_error) {
              handlers.on_error(problem.error);
            }
          },
          [&](const Progress& progress) {
            const std::scoped_lock lock(mutex_);
            progress_[static_cast<std::size_t>(from)] = progress.progress;
          },
          [&](const Report& report) {
            {
              const std::scoped_lock lock(mutex_);
              reports_.report.merge(report.report);
              reports_.failed = reports_.failed || report.failed;
              ++reports_arrived_;
            }
            arrived_.notify_all();
          },
          [&](const Stop&) { stop.request_stop(); },
          [&](const EndWork&) {
            work_has_ended_ = true;
            if (worker_ != nullptr) {
              worker_->end_serving();
            }
          },
          [&]<Setting T>(T& setup) { handle_setup(from, std::move(setup)); },
      },
      message);
}

void Ranks::Impl::handle_setup(int from, Message&& message) {
  {
    const std::scoped_lock lock(mutex_);
    setup_.push_back({from, std::move(message)});
  }
  arrived_.notify_all();
}

// The worker is locked; it may be this rank's own.
void Ranks::Impl::send_replies(std::vector<LinkTable::Reply>&& replies) {
  for (LinkTable::Reply& reply : replies) {
    ClaimReply message{reply.claim, reply.answer, std::move(reply.copy), std::move(reply.name)};
    if (reply.to != rank) {
      transport_->send(reply.to, encode(message));
    } else if (worker_ != nullptr) {
      worker_->answered(message.claim, message.answer, std::move(message.copy), std::move(message.name));
    }
  }
}

void Ranks::Impl::balance() {
  using Kind = Balancer::Order::Kind;
  const std::scoped_lock worker_lock(worker_mutex_);
  const WorkLoad load = worker_ != nullptr ? worker_->load() : WorkLoad{};
  for (const Balancer::Order& order : balancer_->step({load.is_idle && !work_has_ended_, load.to_give})) {
    switch (order.kind) {
      case Kind::ask: transport_->send(order.rank, encode(Ask{.waits = false})); break;
      case Kind::leave_name: transport_->send(order.rank, encode(Ask{.waits = true})); break;
      case Kind::refuse: transport_->send(order.rank, encode(Refuse{})); break;
      case Kind::give:
        if (std::vector<Piece> pieces = worker_->give(order.most); !pieces.empty()) {
          transport_->send(order.rank, encode(Work{std::move(pieces)}));
        } else {
          balancer_->asked(order.rank, order.was_waiting);
        }
        break;
    }
  }
  if (worker_ != nullptr && balancer_->is_wanted() != is_wanted_) {
    is_wanted_ = !is_wanted_;
    worker_->set_wanted(is_wanted_);
  }
}

void Ranks::Impl::attach(PieceWorker* worker) {
  {
    const std::scoped_lock lock(worker_mutex_);
    worker_ = worker;
    is_wanted_ = false;
    if (worker != nullptr && work_has_ended_) {
      worker->end_serving();
    }
  }
  wake();
}

void Ranks::Impl::done(std::uint64_t receipt, std::optional<RangeResult> result) {
  std::unique_lock lock(mutex_);
  const auto found = receipts_.extract(receipt);
  lock.unlock();
  if (!found.empty()) {
    post(found.mapped().first, Done{found.mapped().second, std::move(result)});
  }
}

// ----------------------------------------------------------------------------------------------- hard links

// The inode as all ranks call it: device numbers of other machines than rank 0's are others. Where it cannot be told
// whether two are the same (a file system mounted inside the tree), links are kept within a rank.
InodeIdentity Ranks::Impl::common(InodeIdentity inode) const {
  if (!several_machines_) {
    return inode;
  }
  if (const auto found = common_devices_.find(inode.device); found != common_devices_.end()) {
    return {found->second, inode.inode};
  }
  constexpr std::uint64_t of_one_rank = std::uint64_t{1} << 63U;
  return {of_one_rank | ((static_cast<std::uint64_t>(rank) << 40U) ^ inode.device), inode.inode};
}

void Ranks::Impl::claim_link(InodeIdentity inode, std::uint32_t links, std::uint64_t claim) {
  const InodeIdentity known = common(inode);
  post(LinkTable::home_of(known, size), Claim{known, links, claim});
}

void Ranks::Impl::link_made(InodeIdentity inode, Place copy, std::string name) {
  const InodeIdentity known = common(inode);
  post(LinkTable::home_of(known, size), LinkMade{known, std::move(copy), std::move(name)});
}

void Ranks::Impl::link_failed(InodeIdentity inode) {
  const InodeIdentity known = common(inode);
  post(LinkTable::home_of(known, size), LinkFailed{known});
}

// ------------------------------------------------------------------------------------------------- the start

Ranks::Impl::Setup Ranks::Impl::wait_for_setup() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return !setup_.empty(); });
  Setup first = std::move(setup_.front());
  setup_.pop_front();
  return first;
}

std::expected<void, std::string> Ranks::Impl::check_first(const RankFacts& facts,
                                                          const std::optional<std::vector<TreeOperand>>& operands) {
  std::string trouble;
  std::vector<std::string> hosts(static_cast<std::size_t>(size), facts.host);
  for (int i = 1; i < size; ++i) {
    const Setup setup = wait_for_setup();
    if (const auto* hello = std::get_if<Hello>(&setup.message)) {
      hosts[static_cast<std::size_t>(setup.from)] = hello->facts.host;
      several_machines_ = several_machines_ || hello->facts.machine != facts.machine;
      if (trouble.empty()) {
        trouble = difference(facts, hello->facts, setup.from);
      }
    }
  }
  if (!trouble.empty() || !operands) {
    post_to_others(Refusal{});
    return std::unexpected(std::move(trouble));
  }
  Operands message{
      .views = look_at(*operands), .several_machines = several_machines_, .machine = facts.machine, .probe = {}};
  for (const OperandView& view : message.views) {
    common_devices_.emplace(view.source.device, view.source.device);
  }
  if (several_machines_ && !operands->empty()) {
    message.probe = make_probe(operands->front());
  }
  post_to_others(message);
  for (int i = 1; i < size; ++i) {
    const Setup setup = wait_for_setup();
    const auto* verdict = std::get_if<Verdict>(&setup.message);
    if (verdict != nullptr && !verdict->trouble.empty() && trouble.empty()) {
      trouble = fmt::format("for rank {} on {}, {} than for rank 0 on {}", setup.from,
                            hosts[static_cast<std::size_t>(setup.from)], verdict->trouble, facts.host);
    }
  }
  if (!message.probe.empty()) {
    remove_probe(message.probe);
  }
  if (!trouble.empty()) {
    post_to_others(Refusal{});
    return std::unexpected(std::move(trouble));
  }
  post_to_others(Go{});
  return {};
}

std::expected<void, std::string> Ranks::Impl::check_other(const RankFacts& facts) {
  post(0, Hello{facts});
  const Setup setup = wait_for_setup();
  const auto* operands = std::get_if<Operands>(&setup.message);
  if (operands == nullptr) {
    return std::unexpected(std::string());
  }
  std::vector<TreeOperand> names;
  names.reserve(operands->views.size());
  std::ranges::transform(operands->views, std::back_inserter(names), &OperandView::operand);
  const std::vector<OperandView> own = look_at(names);
  const bool same_machine = operands->machine == facts.machine;
  std::string trouble = difference(operands->views, own, same_machine);
  if (trouble.empty() && !same_machine && !operands->probe.empty() && !finds_probe(operands->probe)) {
    trouble = fmt::format("the destination {} is in another place", ferry::quoted(names.front().destination));
  }
  several_machines_ = operands->several_machines;
  for (std::size_t i = 0; i < own.size(); ++i) {
    common_devices_.emplace(own[i].source.device, operands->views[i].source.device);
  }
  post(0, Verdict{trouble});
  if (!std::holds_alternative<Go>(wait_for_setup().message)) {
    return std::unexpected(std::string());
  }
  return {};
}

// ----------------------------------------------------------------------------------------- progress and the end

void Ranks::Impl::tell_progress(std::function<TreeProgress()> own) {
  const std::scoped_lock lock(mutex_);
  own_progress_ = std::move(own);
}

void Ranks::Impl::tell_progress_now() {
  const auto now = steady_clock::now();
  if (rank == 0 || now - progress_told_ < progress_interval) {
    return;
  }
  progress_told_ = now;
  std::unique_lock lock(mutex_);
  if (!own_progress_) {
    return;
  }
  const TreeProgress own = own_progress_();
  TreeProgress& told = progress_[static_cast<std::size_t>(rank)];
  const bool is_news = own.entries_found != told.entries_found || own.entries_done != told.entries_done ||
                       own.bytes_done != told.bytes_done || own.bytes_found != told.bytes_found;
  told = own;
  lock.unlock();
  if (is_news) {
    transport_->send(0, encode(Progress{own}));
  }
}

TreeProgress Ranks::Impl::progress_of_others() const {
  const std::scoped_lock lock(mutex_);
  TreeProgress sum;
  for (const TreeProgress& each : progress_) {
    add(sum, each);
  }
  return sum;
}

Report Ranks::Impl::wait_for_reports() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return reports_arrived_ == size - 1; });
  return reports_;
}

// ------------------------------------------------------------------------------------------------- public

Ranks::Ranks(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ranks::~Ranks() = default;

std::expected<std::unique_ptr<Ranks>, std::string> Ranks::join(const Connect& connect) {
  auto impl = std::make_unique<Impl>();
  if (auto connected = impl->connect(connect); !connected) {
    return std::unexpected(std::move(connected.error()));
  }
  return std::unique_ptr<Ranks>(new Ranks(std::move(impl)));
}

int Ranks::rank() const noexcept { return impl_->rank; }
int Ranks::size() const noexcept { return impl_->size; }

std::expected<void, std::string> Ranks::check(const RankFacts& facts,
                                              const std::optional<std::vector<TreeOperand>>& operands) {
  return rank() == 0 ? impl_->check_first(facts, operands) : impl_->check_other(facts);
}

TreePartners& Ranks::partners() noexcept { return *impl_; }

void Ranks::begin(Handlers handlers, const std::stop_token& stop) {
  impl_->handlers = std::move(handlers);
  impl_->stop_callback.emplace(stop, [impl = impl_.get()] {
    impl->stop.request_stop();
    impl->post_to_others(Stop{});
  });
}

std::stop_token Ranks::stop_token() const noexcept { return impl_->stop.get_token(); }

void Ranks::forward(const TreeEvent& event) {
  impl_->post_within_bounds(Event{event.kind, std::string(event.source), std::string(event.destination),
                                  std::string(event.backup),
                                  event.report != nullptr ? std::optional(*event.report) : std::nullopt});
}

void Ranks::forward(const TreeError& error) { impl_->post_within_bounds(Problem{error}); }

void Ranks::tell_progress(std::function<TreeProgress()> own) { impl_->tell_progress(std::move(own)); }

TreeProgress Ranks::progress_of_others() const { return impl_->progress_of_others(); }

void Ranks::end_work() { impl_->post_to_others(EndWork{}); }

Ranks::Outcome Ranks::finish(const TreeReport& own, bool failed) {
  if (rank() != 0) {
    impl_->post(0, Report{own, failed});
    return {own, failed};
  }
  const Report others = impl_->wait_for_reports();
  Outcome outcome{own, failed || others.failed};
  outcome.report.merge(others.report);
  return outcome;
}

}  // namespace ferry
