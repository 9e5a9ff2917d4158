"""The engines: llama.cpp in process, and the scripted one."""
