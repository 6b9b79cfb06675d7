// What is done with the file as a file: copying and removing it.
#include <cerrno>

#include <fmt/format.h>

#include <ferry/meta.hpp>

#include "base/sys.hpp"
#include "map/map_state.hpp"

namespace ferry {
namespace {

// A copy_on_write map has bytes that no file has.
Result<CopyReport> write_content(const MapState& map, std::span<const std::byte> content,
                                 const std::filesystem::path& destination) {
  const std::filesystem::path parent = destination.has_parent_path() ? destination.parent_path() : ".";
  const std::string name = destination.filename();
  const UniqueFd directory(sys::openat(AT_FDCWD, parent.c_str(), O_PATH | O_DIRECTORY));
  if (!directory) {
    return fail(-directory.get(), "openat", parent);
  }
  auto staged = StagedFile::create(directory.get(), name.c_str(), map.options.permissions);
  if (!staged) {
    return std::unexpected(std::move(staged.error()));
  }
  const auto started = std::chrono::steady_clock::now();
  for (std::size_t done = 0; done < content.size();) {
    const auto rest = content.subspan(done);
    const ssize_t written = sys::pwrite(staged->fd(), rest.data(), rest.size(), static_cast<off_t>(done));
    if (written <= 0) {
      return fail(written < 0 ? static_cast<int>(-written) : EIO, "pwrite", destination);
    }
    done += static_cast<std::size_t>(written);
  }
  if (auto committed = staged->commit(StagedFile::Existing::replace); !committed) {
    return std::unexpected(std::move(committed.error()));
  }
  CopyReport report;
  report.bytes_copied = report.size_bytes = content.size();
  report.bytes_by_method.at(static_cast<std::size_t>(CopyMethod::read_write)) = content.size();
  report.elapsed = std::chrono::steady_clock::now() - started;
  return report;
}

}  // namespace

Result<CopyReport> MappedFile::copy_to(const std::filesystem::path& destination, const CopyOptions& options) const {
  const MapState& map = state();
  if (map.mode == MapMode::copy_on_write) {
    const auto all = view_all();
    return all ? write_content(map, all->bytes(), destination) : std::unexpected(all.error());
  }
  // The open file, whatever has its name by now.
  auto report = copy_file(fmt::format("/proc/self/fd/{}", map.file.get()), destination, options);
  if (!report && report.error().path.starts_with("/proc/self/fd/")) {
    report.error().path = map.path;
  }
  return report;
}

Result<void> MappedFile::remove() {
  const MapState& map = state();
  struct statx named = {};
  struct statx mapped = {};
  if (const int done = sys::statx(AT_FDCWD, map.path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, named);
      done < 0) {
    return std::unexpected(map.error(-done, "statx"));
  }
  if (const int done = sys::statx(map.file.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, mapped); done < 0) {
    return std::unexpected(map.error(-done, "statx"));
  }
  if (identity_of(named) != identity_of(mapped)) {
    return std::unexpected(map.error(ESTALE, "unlinkat"));
  }
  const int done = sys::unlinkat(AT_FDCWD, map.path.c_str(), 0);
  return done < 0 ? std::unexpected(map.error(-done, "unlinkat")) : Result<void>{};
}

}  // namespace ferry
