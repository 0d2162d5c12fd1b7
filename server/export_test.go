package server

// ClosePublic closes the public listener's socket under a server.
func ClosePublic(s *Server) error { return s.public.Close() }
