#include "cli/ranks.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "mpi/module/interface.hpp"

namespace ferry::cli {
namespace {

constexpr const char* module_name = "ferry-mpi.so";

std::optional<int> number_in_environment(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr) {
    return std::nullopt;
  }
  int number = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), number);
  return error == std::errc{} && *end == '\0' && number >= 0 ? std::optional(number) : std::nullopt;
}

// Empty if there is none.
std::filesystem::path module_path() {
  std::error_code error;
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path& place : {here, (here / FERRY_BIN_TO_LIB / "ferry").lexically_normal()}) {
    if (std::filesystem::exists(place / module_name, error)) {
      return place / module_name;
    }
  }
  return {};
}

std::expected<const FerryMpiFunctions*, std::string> load_module() {
  const std::filesystem::path path = module_path();
  if (path.empty()) {
    return std::unexpected(fmt::format("built without MPI, or {} is not where it was installed", module_name));
  }
  // Stays loaded: MPI cannot begin twice. Its own plugins want to see its symbols.
  void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  void* const symbol = module == nullptr ? nullptr : ::dlsym(module, "ferry_mpi_functions");
  if (symbol == nullptr) {
    return std::unexpected(fmt::format("cannot load {}: {}", module_name, ::dlerror()));
  }
  const FerryMpiFunctions* const functions = reinterpret_cast<decltype(&ferry_mpi_functions)>(symbol)();
  if (functions->interface != ferry_mpi_interface) {
    return std::unexpected(fmt::format("{} is of another version of ferry", path.native()));
  }
  return functions;
}

class MpiTransport final : public Transport {
 public:
  static std::expected<std::unique_ptr<Transport>, std::string> begin(const FerryMpiFunctions& mpi, int launched) {
    std::array<char, 256> error = {};
    auto transport = std::unique_ptr<MpiTransport>(new MpiTransport(mpi));
    if (mpi.begin(&transport->rank_, &transport->size_, error.data(), error.size()) != 0) {
      return std::unexpected(std::string(error.data()));
    }
    transport->has_begun_ = true;
    if (transport->size_ != launched) {
      return std::unexpected(fmt::format("started as one of {} processes, of which {} sees {}: built with another MPI",
                                         launched, module_name, transport->size_));
    }
    return transport;
  }
  MpiTransport(const MpiTransport&) = delete;
  MpiTransport& operator=(const MpiTransport&) = delete;
  ~MpiTransport() override {
    if (has_begun_) {
      mpi_.end();
    }
  }

  [[nodiscard]] int rank() const noexcept override { return rank_; }
  [[nodiscard]] int size() const noexcept override { return size_; }
  void send(int to, std::string message) override { mpi_.send(to, message.data(), message.size()); }
  std::optional<Received> try_receive() override {
    Received received;
    const auto store = [](void* context, const char* message, std::size_t size) {
      static_cast<std::string*>(context)->assign(message, size);
    };
    return mpi_.receive(&received.from, store, &received.message) != 0 ? std::optional(std::move(received))
                                                                       : std::nullopt;
  }
  [[nodiscard]] std::size_t unsent_bytes() override { return mpi_.unsent(); }
  [[noreturn]] void abort(int status) override {
    mpi_.abort(status);
    std::_Exit(status);
  }

 private:
  explicit MpiTransport(const FerryMpiFunctions& mpi) : mpi_(mpi) {}

  const FerryMpiFunctions& mpi_;
  int rank_ = 0;
  int size_ = 0;
  bool has_begun_ = false;
};

}  // namespace

Launch launched_as() {
  struct Names {
    const char* rank;
    const char* size;
  };
  // The last is for srun with PMIx, which leaves the size to the library; Slurm itself tells it.
  static constexpr std::array names = {Names{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                       Names{"PMI_RANK", "PMI_SIZE"}, Names{"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}};
  const char* const wish = std::getenv("FERRY_MPI");
  if (wish != nullptr && std::string_view(wish) == "off") {
    return {};
  }
  for (const Names& each : names) {
    const auto rank = number_in_environment(each.rank);
    const auto size = number_in_environment(each.size);
    if (rank && size && *rank < *size) {
      return {*rank, *size};
    }
  }
  return {};
}

std::expected<std::unique_ptr<Ranks>, std::string> join_ranks(const Launch& launch) {
  const auto functions = load_module();
  if (!functions) {
    return std::unexpected(
        fmt::format("cannot work with the other {} processes: {}", launch.size - 1, functions.error()));
  }
  return Ranks::join([mpi = *functions, size = launch.size] { return MpiTransport::begin(*mpi, size); });
}

std::string describe_mpi() {
  const auto functions = load_module();
  if (!functions) {
    return fmt::format("MPI: no ({})", functions.error());
  }
  std::array<char, 128> text = {};
  (*functions)->describe(text.data(), text.size());
  return fmt::format("MPI: {}", text.data());
}

RankFacts facts_of_command(int argc, char* const* argv) {
  std::string line;
  for (int i = 1; i < argc; ++i) {
    line += argv[i];
    line += '\0';
  }
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return rank_facts(std::move(line), mask);
}

Silence::Silence(const Launch& launch) {
  if (launch.rank == 0) {
    return;
  }
  const UniqueFd nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
  output_.reset(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  errors_.reset(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  if (nowhere) {
    (void)dup2(nowhere.get(), STDOUT_FILENO);
    (void)dup2(nowhere.get(), STDERR_FILENO);
  }
}

Silence::~Silence() {
  if (output_) {
    (void)std::fflush(stdout);
    (void)dup2(output_.get(), STDOUT_FILENO);
  }
  if (errors_) {
    (void)dup2(errors_.get(), STDERR_FILENO);
  }
}

int refuse_several_ranks(const char* command) {
  const Launch launch = launched_as();
  if (!launch.is_one_of_several()) {
    return 0;
  }
  if (launch.rank == 0) {
    fmt::print(stderr,
               "{}: cannot share its work with other processes yet, and {} were started: run it without mpirun\n",
               command, launch.size);
  }
  return 1;
}

}  // namespace ferry::cli
