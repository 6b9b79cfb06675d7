# Installing the library, its headers and the command: filled below.
