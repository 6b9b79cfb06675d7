// What the module ferry-mpi.so exports: MPI behind plain functions, so that nothing of C++ crosses the border between
// the command, which brings its own standard library, and the module.
#pragma once

#include <cstddef>

// Changes with any of the functions below.
inline constexpr int ferry_mpi_interface = 1;

extern "C" {
// All are to be called by one and the same thread.
struct FerryMpiFunctions {
  int interface;
  // Begins. 0, or an error with its text in `error` (of `capacity` bytes).
  int (*begin)(int* rank, int* size, char* error, std::size_t capacity);
  // Copies the message; does not wait for the receiver.
  void (*send)(int to, const char* message, std::size_t size);
  // 1: a message has arrived, and `store` was called with it; 0: none.
  int (*receive)(int* from, void (*store)(void* context, const char* message, std::size_t size), void* context);
  // Bytes of messages that were sent and may not be forgotten yet.
  std::size_t (*unsent)();
  void (*end)();
  void (*abort)(int status);
  // "Open MPI v4.1.4, ...".
  void (*describe)(char* text, std::size_t capacity);
};
const FerryMpiFunctions* ferry_mpi_functions();
}
