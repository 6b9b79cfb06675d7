#include "mpi/messages.hpp"

#include <mutex>
#include <set>
#include <utility>

namespace ferry::mpi {
namespace {

// Writer and Reader are called with the fields of a value in order; fields() below names them once for both.
class Writer {
 public:
  template <typename... Fields>
  void operator()(const Fields&... fields) {
    (put(fields), ...);
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  template <typename T>
  void put(const T& value);
  void put(const std::string& text) {
    put(static_cast<std::uint64_t>(text.size()));
    bytes_ += text;
  }
  void put(const char* text) { put(std::string(text)); }
  template <typename T>
  void put(const std::vector<T>& values) {
    put(static_cast<std::uint64_t>(values.size()));
    for (const T& value : values) {
      put(value);
    }
  }
  template <typename T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) {
      put(*value);
    }
  }
  std::string bytes_;
};

// Error::operation is of static storage: the few names there are stay here.
const char* kept(std::string text) {
  static std::mutex mutex;
  static std::set<std::string> names;
  const std::scoped_lock lock(mutex);
  return names.insert(std::move(text)).first->c_str();
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  template <typename... Fields>
  void operator()(Fields&... fields) {
    (get(fields), ...);
  }
  [[nodiscard]] bool is_complete() const noexcept { return is_good_ && left_.empty(); }

 private:
  template <typename T>
  void get(T& value);
  std::uint64_t count() {
    std::uint64_t size = 0;
    get(size);
    if (size > left_.size()) {  // an element has a byte at least
      is_good_ = false;
      left_ = {};
      return 0;
    }
    return size;
  }
  void get(std::string& text) {
    const std::uint64_t size = count();
    text.assign(left_.substr(0, size));
    left_.remove_prefix(size);
  }
  void get(const char*& text) {
    std::string read;
    get(read);
    text = kept(std::move(read));
  }
  template <typename T>
  void get(std::vector<T>& values) {
    for (std::uint64_t i = count(); i > 0 && is_good_; --i) {
      get(values.emplace_back());
    }
  }
  template <typename T>
  void get(std::optional<T>& value) {
    bool has_value = false;
    get(has_value);
    if (has_value && is_good_) {
      get(value.emplace());
    }
  }
  std::string_view left_;
  bool is_good_ = true;
};

template <typename T>
concept Plain = std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, CopyReport>;

// A is Writer with constant values, or Reader.
template <typename Archive, typename T>
void fields(Archive& archive, T& value) {
  using Value = std::remove_const_t<T>;
  if constexpr (std::is_same_v<Value, RankFacts>) {
    archive(value.version, value.command_line, value.identity, value.machine, value.host);
  } else if constexpr (std::is_same_v<Value, TreeOperand>) {
    archive(value.source, value.destination);
  } else if constexpr (std::is_same_v<Value, OperandView::Side>) {
    archive(value.error, value.type, value.device, value.inode, value.born_ns);
  } else if constexpr (std::is_same_v<Value, OperandView>) {
    archive(value.operand, value.source, value.destination);
  } else if constexpr (std::is_same_v<Value, InodeIdentity>) {
    archive(value.device, value.inode);
  } else if constexpr (std::is_same_v<Value, Place>) {
    archive(value.operand, value.is_operand, value.path, value.source_inode, value.destination_inode,
            value.destination_is_new, value.has_default_acl);
  } else if constexpr (std::is_same_v<Value, PieceEntry>) {
    archive(value.name, value.type, value.is_entered);
  } else if constexpr (std::is_same_v<Value, PieceRange>) {
    archive(value.temporary_name, value.destination_inode, value.source_inode, value.source_size_bytes,
            value.source_modified_ns, value.offset, value.length);
  } else if constexpr (std::is_same_v<Value, Piece>) {
    archive(value.id, value.directory, value.entries, value.range);
  } else if constexpr (std::is_same_v<Value, RangeResult>) {
    archive(value.report, value.error, value.operation);
  } else if constexpr (std::is_same_v<Value, TreeProgress>) {
    archive(value.bytes_done, value.entries_done, value.bytes_found, value.entries_found, value.walk_complete);
  } else if constexpr (std::is_same_v<Value, TreeReport>) {
    archive(value.data, value.regular_files, value.directories, value.symlinks, value.hard_links, value.special_files,
            value.skipped, value.errors);
  } else if constexpr (std::is_same_v<Value, Hello>) {
    archive(value.facts);
  } else if constexpr (std::is_same_v<Value, Operands>) {
    archive(value.views, value.several_machines, value.machine, value.probe);
  } else if constexpr (std::is_same_v<Value, Verdict>) {
    archive(value.trouble);
  } else if constexpr (std::is_same_v<Value, Ask>) {
    archive(value.waits);
  } else if constexpr (std::is_same_v<Value, Work>) {
    archive(value.pieces);
  } else if constexpr (std::is_same_v<Value, Done>) {
    archive(value.piece, value.result);
  } else if constexpr (std::is_same_v<Value, Claim>) {
    archive(value.inode, value.links, value.claim);
  } else if constexpr (std::is_same_v<Value, ClaimReply>) {
    archive(value.claim, value.answer, value.copy, value.name);
  } else if constexpr (std::is_same_v<Value, LinkMade>) {
    archive(value.inode, value.copy, value.name);
  } else if constexpr (std::is_same_v<Value, LinkFailed>) {
    archive(value.inode);
  } else if constexpr (std::is_same_v<Value, Event>) {
    archive(value.kind, value.source, value.destination, value.backup, value.report);
  } else if constexpr (std::is_same_v<Value, Problem>) {
    archive(value.error);
  } else if constexpr (std::is_same_v<Value, Progress>) {
    archive(value.progress);
  } else if constexpr (std::is_same_v<Value, Report>) {
    archive(value.report, value.failed);
  } else {
    static_assert(std::is_empty_v<Value>, "a message whose fields are not named here");
  }
}

template <typename T>
void Writer::put(const T& value) {
  if constexpr (Plain<T>) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  } else if constexpr (std::is_same_v<T, TreeError>) {
    (*this)(value.problem, value.error.code.value(), value.error.operation, value.error.path, value.source,
            value.destination, value.operand);
  } else {
    fields(*this, value);
  }
}

template <typename T>
void Reader::get(T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    std::uint8_t byte = 0;
    get(byte);
    value = byte != 0;
  } else if constexpr (Plain<T>) {
    if (left_.size() < sizeof value) {
      is_good_ = false;
      left_ = {};
      return;
    }
    left_.copy(reinterpret_cast<char*>(&value), sizeof value);
    left_.remove_prefix(sizeof value);
  } else if constexpr (std::is_same_v<T, TreeError>) {
    int code = 0;
    (*this)(value.problem, code, value.error.operation, value.error.path, value.source, value.destination,
            value.operand);
    value.error.code = {code, std::generic_category()};
  } else {
    fields(*this, value);
  }
}

template <std::size_t Index = 0>
std::optional<Message> read(std::uint8_t kind, std::string_view bytes) {
  if constexpr (Index < std::variant_size_v<Message>) {
    if (kind != Index) {
      return read<Index + 1>(kind, bytes);
    }
    std::variant_alternative_t<Index, Message> message;
    Reader reader(bytes);
    reader(message);
    return reader.is_complete() ? std::optional<Message>(std::move(message)) : std::nullopt;
  } else {
    return std::nullopt;
  }
}

}  // namespace

std::string encode(const Message& message) {
  Writer writer;
  writer(static_cast<std::uint8_t>(message.index()));
  std::visit([&](const auto& each) { writer(each); }, message);
  return writer.take();
}

std::optional<Message> decode(std::string_view bytes) {
  if (bytes.empty()) {
    return std::nullopt;
  }
  return read(static_cast<std::uint8_t>(bytes.front()), bytes.substr(1));
}

}  // namespace ferry::mpi
