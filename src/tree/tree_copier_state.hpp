// What TreeCopier is made of: the job, the traversal of its trees, and the side of it that its partners see.
#pragma once

#include <ferry/tree.hpp>

#include "tree/copy_job.hpp"
#include "tree/entry_copier.hpp"
#include "tree/hard_links.hpp"
#include "tree/partners.hpp"
#include "tree/traversal.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ferry {

// The receipt of directories that are only the way to others, or are looked at once: they are never finished.
inline constexpr std::uint64_t on_the_way = ~std::uint64_t{0};

// The job comes first among the bases: the traversal works with its descriptors.
struct JobHolder {
  JobHolder(TreeOptions options, unsigned workers) : job(std::move(options), workers) {}
  CopyJob job;
};

struct TreeCopier::State final : public JobHolder, public Traversal, public PieceWorker {
  State(TreeOptions options, unsigned workers);
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() override;

  // Copies one operand, and returns the first failure of all that were reported to the job.
  Result<void> run(std::span<const TreeOperand> operands, bool with_contents);

  [[nodiscard]] TreeReport report() const;

  // With partners (pieces.cpp).
  void serve_partners();
  [[nodiscard]] WorkLoad load() const override;
  void set_wanted(bool wanted) override { Traversal::set_wanted(wanted); }
  [[nodiscard]] std::vector<Piece> give(std::size_t most) override;
  void returned(std::uint64_t piece, std::optional<RangeResult> result) override;
  void take(Piece piece, std::uint64_t receipt) override;
  void answered(std::uint64_t claim, LinkAnswer answer, Place copy, std::string name) override;
  void end_serving() override;

 private:
  void run_in_parallel(std::span<const TreeOperand> operands, bool with_contents);
  void copy_operand(unsigned worker, const TreeOperand& operand);

  // Traversal.
  void operand(unsigned worker, std::size_t index) override { copy_operand(worker, operands_[index]); }
  DirectoryRef enter(unsigned worker, Directory& parent, std::string_view name) override;
  bool visit(unsigned worker, Directory& directory, const DirectoryEntry& entry) override;
  void share(unsigned worker, Directory& directory) override;
  [[nodiscard]] bool is_unshared(const Directory& directory) const noexcept override {
    return !directory.staged_name.empty();
  }
  void leave(unsigned worker, Directory& directory) override;
  void read_failed(Directory& directory, Error error) override;
  [[nodiscard]] bool stopped() const noexcept override { return job.stopped(); }

  void copy_directory(unsigned worker, Directory& anchor, const CopyEntry& entry);
  [[nodiscard]] bool open_source(Directory& directory, const CopyEntry& entry);
  bool open_destination(Directory& directory, const CopyEntry& entry);
  [[nodiscard]] bool is_to_be_entered(const Directory& directory, const CopyEntry& entry) const;
  int make_and_open_directory(Directory& directory, const CopyEntry& entry);
  [[nodiscard]] mode_t new_directory_mode(const Directory& directory) const noexcept;
  void merge_staged(Directory& directory, const CopyEntry& entry);
  [[nodiscard]] int open_existing_directory(const Directory& directory, const CopyEntry& entry);
  bool refuse_existing(const CopyEntry& entry, int error);

  // The worker's own: made when it first needs one, since small jobs have work for one worker only.
  EntryCopier& copier(unsigned worker);
  std::vector<std::unique_ptr<EntryCopier>> copiers_;  // one per worker
  // The directory that a worker's last operand went into; the next one most likely goes there, too.
  struct DestinationParent {
    std::string path;
    std::shared_ptr<const UniqueFd> fd;
    struct statx status = {};
    bool has_default_acl = false;
  };
  bool open_parent(unsigned worker, Directory& anchor, const CopyEntry& entry, std::string& name);
  int open_parent_directory(const std::string& path, DestinationParent& parent);

  std::vector<DestinationParent> parents_;  // one per worker
  std::span<const TreeOperand> operands_;
  bool with_contents_ = true;
  std::chrono::nanoseconds elapsed_{0};

  // With partners (pieces.cpp).
  void begin_with_partners();
  void end_with_partners() noexcept;
  void has_for_others() override { job.options.partners->load_changed(); }
  void work_on_piece(unsigned worker, const Piece& piece, std::uint64_t receipt);
  void claim(InodeIdentity inode, std::uint32_t links, TreeName name);
  struct Claim {
    InodeIdentity inode;
    TreeName name;
  };
  void settle(unsigned worker, const Claim& claim, LinkAnswer answer, const Place& copy, const std::string& name);
  [[nodiscard]] static Place place_of(const Directory& directory);
  // A directory of this job that another process has entered, and which is pinned.
  struct Found {
    DirectoryRef directory;
    Pin pin;
  };
  [[nodiscard]] std::optional<Found> find(const Place& place, std::uint64_t receipt);
  [[nodiscard]] std::optional<Found> checked(const Place& place, std::optional<Found> found);
  [[nodiscard]] std::optional<Found> find_known(const Place& place, std::string_view path);
  [[nodiscard]] std::optional<Found> find_ancestor(const Place& place, std::string_view path);
  [[nodiscard]] std::optional<Found> open_borrowed(const DirectoryRef& parent, const Place& place,
                                                   std::string_view name, std::uint64_t receipt);
  [[nodiscard]] bool open_borrowed_destination(Directory& directory, const CopyEntry& entry);
  // Large files (ranges.cpp).
  struct SharedCopy;
  [[nodiscard]] Result<CopyReport> copy_in_ranges(const SharedFile& file);
  [[nodiscard]] std::optional<Piece> give_range();
  void range_returned(SharedCopy& copy, const RangeResult& result);
  [[nodiscard]] RangeResult copy_range_of(const Piece& piece);
  void remember(const Place& place, std::string_view path, const DirectoryRef& directory);

  std::mutex partners_mutex_;  // guards what follows
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, Departing> given_;
  std::unordered_map<std::uint64_t, Claim> claims_;
  std::vector<SharedCopy*> shared_copies_;  // with ranges that nobody has begun with
  std::unordered_map<std::uint64_t, SharedCopy*> given_ranges_;
  std::atomic<std::size_t> ranges_left_ = 0;
  std::unordered_map<std::string, DirectoryRef> found_;  // ancestors of what was worked on for others
};

}  // namespace ferry
