// The module: messages between ranks by MPI. Errors of MPI end the job (its default error handler says which).
#include "mpi/module/interface.hpp"

#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <list>
#include <string>
#include <vector>

namespace {

struct Sending {
  std::string message;
  MPI_Request request = MPI_REQUEST_NULL;
};
std::list<Sending> sending;     // NOLINT(*-avoid-non-const-global-variables): of the one thread that calls
std::size_t sending_bytes = 0;  // NOLINT(*-avoid-non-const-global-variables)
std::vector<char> received;     // NOLINT(*-avoid-non-const-global-variables)

constexpr int tag = 0;

void put(const char* text, char* out, std::size_t capacity) {
  if (capacity > 0) {
    std::snprintf(out, capacity, "%s", text);
  }
}

int begin(int* rank, int* size, char* error, std::size_t capacity) {
  int provided = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
    put("MPI_Init_thread failed", error, capacity);
    return 1;
  }
  if (provided < MPI_THREAD_FUNNELED) {
    put("this MPI knows no threads", error, capacity);
    return 1;
  }
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  MPI_Comm_size(MPI_COMM_WORLD, size);
  return 0;
}

std::size_t unsent() {
  for (auto each = sending.begin(); each != sending.end();) {
    int is_done = 0;
    MPI_Test(&each->request, &is_done, MPI_STATUS_IGNORE);
    if (is_done != 0) {
      sending_bytes -= each->message.size();
      each = sending.erase(each);
    } else {
      ++each;
    }
  }
  return sending_bytes;
}

void send(int to, const char* message, std::size_t size) {
  Sending& each = sending.emplace_back();
  each.message.assign(message, size);
  sending_bytes += size;
  MPI_Isend(each.message.data(), static_cast<int>(size), MPI_BYTE, to, tag, MPI_COMM_WORLD, &each.request);
}  // NOLINT(clang-analyzer-optin.mpi.MPI-Checker): it is waited for by unsent()

int receive(int* from, void (*store)(void* context, const char* message, std::size_t size), void* context) {
  int has_arrived = 0;
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status;
  MPI_Improbe(MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, &has_arrived, &message, &status);
  if (has_arrived == 0) {
    return 0;
  }
  int size = 0;
  MPI_Get_count(&status, MPI_BYTE, &size);
  received.resize(static_cast<std::size_t>(std::max(size, 1)));
  MPI_Mrecv(received.data(), size, MPI_BYTE, &message, &status);
  *from = status.MPI_SOURCE;
  store(context, received.data(), static_cast<std::size_t>(size));
  return 1;
}

void end() {
  while (unsent() > 0) {
  }
  MPI_Finalize();
}

void abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }

void describe(char* text, std::size_t capacity) {
  std::vector<char> full(MPI_MAX_LIBRARY_VERSION_STRING);
  int length = 0;
  MPI_Get_library_version(full.data(), &length);
  full.back() = '\0';
  full[std::strcspn(full.data(), ",\n")] = '\0';  // "Open MPI v4.1.4, package: ..."
  put(full.data(), text, capacity);
}

}  // namespace

extern "C" const FerryMpiFunctions* ferry_mpi_functions() {
  static constexpr FerryMpiFunctions functions = {
      .interface = ferry_mpi_interface,
      .begin = begin,
      .send = send,
      .receive = receive,
      .unsent = unsent,
      .end = end,
      .abort = abort,
      .describe = describe,
  };
  return &functions;
}
